#!/usr/bin/env bash
# The drain, delete and vanished hook of the test drive: removes a VM from the load balancer. See web-join.sh for its groups.
#
# As the drain hook it runs before the VM is deleted. It waits up to a minute until another VM is behind the balancer. After it has
# removed the VM, it waits for the requests in flight.
#
# A preempted VM takes up to 30 seconds to stop, and gets requests until the health check notices. A VM that is no member any more,
# or never was one because its create hook was lost, is a success.
#
# prevmtable sets PROJECT, ZONE and NAME.
set -euo pipefail

group=${NAME%-vm-*}
endpoints() { gcloud compute network-endpoint-groups "$@" --project="$PROJECT" --zone="$ZONE" --quiet; }

# others succeeds if there are other VMs behind the balancer.
others() {
	gcloud compute network-endpoint-groups list --project="$PROJECT" --filter="name=$group" --format='value(size)' |
		awk '{ n += $1 } END { exit n < 2 }'
}

if [[ ${HOOK:-} == drain ]]; then
	for try in 1 2 3 4 5 6 7 8 9 10 11 12; do
		others && break
		sleep 5
	done
fi
for try in 1 2 3; do
	if said=$(endpoints update "$group" --remove-endpoint="instance=$NAME" 2>&1); then
		echo "$NAME left $group in $ZONE"
		[[ ${HOOK:-} != drain ]] || sleep 5
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
