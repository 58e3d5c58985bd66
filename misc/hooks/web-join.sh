#!/usr/bin/env bash
# The create hook of the test drive: a VM that has been created joins the load balancer.
#
# The balancer's backends are unmanaged instance groups, one in each zone, named like the cluster: VM web-vm-1234 belongs
# into group web. Google recommends them (with a backend service) over target pools for new balancers of this kind, they
# have health checks of today's sort, and a VM that is deleted leaves its group by itself. The price is one group per zone.
#
# prevmtable sets PROJECT, ZONE and NAME.
set -euo pipefail

group=${NAME%-vm-*}
for try in 1 2 3; do
	if said=$(gcloud compute instance-groups unmanaged add-instances "$group" \
		--project="$PROJECT" --zone="$ZONE" --instances="$NAME" --quiet 2>&1); then
		echo "$NAME joined $group in $ZONE"
		exit 0
	fi
	case $said in
	*'already a member'*)
		echo "$NAME is in $group in $ZONE already"
		exit 0
		;;
	*"/instances/$NAME' was not found"*)
		echo "$NAME is gone already" # preempted meanwhile; its own hook follows
		exit 0
		;;
	esac
	sleep $((try * 5)) # another hook may be changing the group
done
printf '%s\n' "$said" >&2
exit 1
