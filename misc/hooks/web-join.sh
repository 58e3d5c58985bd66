#!/usr/bin/env bash
# The create hook of the test drive: a VM that has been created joins the load balancer.
#
# The balancer's backends are network endpoint groups, one in each zone, named like the cluster: VM web-vm-1234 belongs into
# group web. For new balancers of this kind Google recommends backend services over target pools, which know old health
# checks only; and a backend service does not take an instance group that is empty, as all are at first.
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
	# Refused: that it is there already is as good, and so is that the VM is gone; its own hook follows then.
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
