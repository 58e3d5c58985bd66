#!/usr/bin/env bash
# The create hook of the test drive: adds a new VM to the load balancer.
#
# The balancer's backends are network endpoint groups, one in each zone, named like the cluster: VM web-vm-1234 belongs to
# group web. For new balancers of this kind Google recommends backend services over target pools, which support only legacy health
# checks. A backend service does not accept an empty instance group, and at first all groups are empty.
#
# prevmtable sets PROJECT, ZONE and NAME.
set -euo pipefail

group=${NAME%-vm-*}
endpoints() { gcloud compute network-endpoint-groups "$@" --project="$PROJECT" --zone="$ZONE" --quiet; }

for try in 1 2 3; do
	if said=$(endpoints update "$group" --add-endpoint="instance=$NAME" 2>&1); then
		echo "$NAME joined $group in $ZONE"
		exit 0
	fi
	# It is also a success if the VM is a member already, or if it is gone: then another hook follows.
	if members=$(endpoints list-network-endpoints "$group" --format='value(networkEndpoint.instance.basename())' 2>&1) &&
		grep --quiet --line-regexp --fixed-strings -- "$NAME" <<<"$members"; then
		echo "$NAME is in $group in $ZONE already"
		exit 0
	fi
	if [[ $said == *"/instances/$NAME' was not found"* ]]; then
		echo "$NAME is gone already"
		exit 0
	fi
	sleep $((try * 5)) # another hook may be changing the group
done
printf '%s\n' "$said" >&2
exit 1
