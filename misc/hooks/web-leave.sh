#!/usr/bin/env bash
# The delete and the vanished hook of the test drive: a VM leaves the load balancer. See web-join.sh for its groups.
#
# A Spot VM that is preempted takes up to 30 seconds to stop; until the health check notices, it would get requests. A VM
# that exists no longer may have left by itself, and one whose create hook was lost never joined. That is as good.
#
# prevmtable sets PROJECT, ZONE and NAME.
set -euo pipefail

group=${NAME%-vm-*}
endpoints() { gcloud compute network-endpoint-groups "$@" --project="$PROJECT" --zone="$ZONE" --quiet; }

for try in 1 2 3; do
	if said=$(endpoints update "$group" --remove-endpoint="instance=$NAME" 2>&1); then
		echo "$NAME left $group in $ZONE"
		exit 0
	fi
	if members=$(endpoints list-network-endpoints "$group" --format='value(networkEndpoint.instance.basename())' 2>&1) &&
		! grep --quiet --line-regexp --fixed-strings -- "$NAME" <<<"$members"; then
		echo "$NAME is not in $group in $ZONE"
		exit 0
	fi
	sleep $((try * 5)) # another hook may be changing the group
done
printf '%s\n' "$said" >&2
exit 1
