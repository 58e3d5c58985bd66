#!/usr/bin/env bash
# The delete and the vanished hook of the test drive: a VM leaves the load balancer. See web-join.sh for its groups.
#
# A VM that exists no longer has left by itself. One that is only being stopped, as a Spot VM is for 30 seconds when it is
# preempted, is still a member, and would get requests until the health check notices. That a VM never was a member, or
# is none any more, is as good.
#
# prevmtable sets PROJECT, ZONE and NAME.
set -euo pipefail

group=${NAME%-vm-*}
for try in 1 2 3; do
	if said=$(gcloud compute instance-groups unmanaged remove-instances "$group" \
		--project="$PROJECT" --zone="$ZONE" --instances="$NAME" --quiet 2>&1); then
		echo "$NAME left $group in $ZONE"
		exit 0
	fi
	case $said in
	*'not a member'* | *'was not found'*)
		echo "$NAME is not in $group in $ZONE"
		exit 0
		;;
	esac
	sleep $((try * 5)) # another hook may be changing the group
done
printf '%s\n' "$said" >&2
exit 1
