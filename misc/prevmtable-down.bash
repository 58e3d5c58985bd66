#!/usr/bin/env bash
# Deletes everything that prevmtable-up.bash has made, even if up failed half-way. It is idempotent: run it again until nothing is
# left. Tried with gcloud on the simulated project, not in Google's cloud.
set -euo pipefail
# shellcheck source=misc/prevmtable-settings.bash
source "$(dirname "${BASH_SOURCE[0]}")/prevmtable-settings.bash"

usage() {
	echo 'usage: [SETTING=VALUE…] misc/prevmtable-down.bash [--yes]

Deletes what prevmtable-up.bash has made with the same settings. Run it again if it fails.
'
	settings_help
}

# unmake COMMAND… runs a command that deletes something. It succeeds if there is nothing to delete.
unmake() {
	local said
	if said=$("$@" 2>&1); then
		return
	fi
	case $said in
	*'was not found'* | *NOT_FOUND* | *'not found!'*) note 'gone already' ;;
	*) stop "$said

Run this again when that is fixed." ;;
	esac
}

# delete_vms PATTERN deletes the VMs whose names match, until there is none. A VM may appear late, if its creation is under way.
delete_vms() {
	local try zone name said='' found names
	for try in 1 2 3 4 5 6 7 8; do
		found=$(look gcloud compute instances list --filter="name~^$1" --format='value(zone.basename(),name)')
		[[ $found ]] || return 0
		while read -r zone; do
			names=()
			while read -r name; do names+=("$name"); done < <(awk -v zone="$zone" '$1 == zone { print $2 }' <<<"$found")
			note "deleting ${#names[@]} in $zone"
			said=$(gcloud compute instances delete "${names[@]}" --zone="$zone" 2>&1) || sleep $((try * 2)) # a VM may be starting just now
		done < <(cut -f 1 <<<"$found" | sort -u)
	done
	stop "these VMs are still there:
$found
$said"
}

delete_master_and_pool() {
	# The master goes first, so that it creates no more VMs. Its hooks die with it; the groups are deleted below with their members.
	step "the VM $MASTER"
	delete_vms "$MASTER\$"
	step "all VMs $POOL…"
	delete_vms "$POOL"
}

delete_balancer() {
	step "forwarding rule, address and firewall rule $PREFIX"
	unmake gcloud compute forwarding-rules delete "$PREFIX" --region="$REGION"
	unmake gcloud compute addresses delete "$PREFIX" --region="$REGION"
	unmake gcloud compute firewall-rules delete "$PREFIX"

	step "backend service, health check and network endpoint groups $PREFIX"
	# All zones that up has ever used, and ZONES.
	local zone zones
	zones=${used#* }
	unmake gcloud compute backend-services delete "$PREFIX" --region="$REGION"
	unmake gcloud compute health-checks delete "$PREFIX" --region="$REGION"
	while read -r zone; do
		unmake gcloud compute network-endpoint-groups delete "$PREFIX" --zone="$zone"
	done < <(xargs -n 1 <<<"$ZONES $zones" | sort -u)
}

delete_account() {
	step "the role's binding, role $ROLE and service account $ACCOUNT (Google keeps a deleted role's name for some weeks)"
	# The binding goes first. Otherwise it would remain, for a deleted account.
	unmake gcloud projects remove-iam-policy-binding "$PROJECT" --member="serviceAccount:$ACCOUNT" \
		--role="projects/$PROJECT/roles/$ROLE" --condition=None
	local role
	role=$(look gcloud iam roles describe "$ROLE" --project="$PROJECT" --format='value(name,deleted)')
	[[ -z $role || $role == *True ]] || unmake gcloud iam roles delete "$ROLE" --project="$PROJECT"
	unmake gcloud iam service-accounts delete "$ACCOUNT"
}

# delete_images deletes the repository, if up has built an image. Without the API there can be none.
delete_images() {
	step "repository $PREFIX of Artifact Registry"
	local repository
	repository=$(look gcloud artifacts repositories describe "$PREFIX" --location="$REGION" --format='value(name)')
	if [[ $repository ]]; then
		unmake gcloud artifacts repositories delete "$PREFIX" --location="$REGION"
		note "Cloud Build keeps the sources in the bucket gs://${PROJECT}_cloudbuild, which is not deleted"
	fi
}

options "$@"
check_settings
[[ -z $used ]] || REGION=${used%% *} # the cluster's own region, whatever REGION says

cat <<END
This deletes in project $PROJECT, for good: the VM $MASTER, all VMs $POOL…, everything in region $REGION that is named $PREFIX
(load balancer, address, firewall rule, service account, role, repository), and the project's attributes ${ATTRIBUTES//,/, }.
END
confirm 'Go on?'

delete_master_and_pool
delete_balancer
delete_account
delete_images
# The attributes go last, because they say where the rest is.
step "the project's attributes ${ATTRIBUTES//,/, } (others are not touched)"
unmake gcloud compute project-info remove-metadata --keys="$ATTRIBUTES"
printf '\nNothing is left of %s. The APIs stay enabled, which costs nothing.\n' "$PREFIX"
