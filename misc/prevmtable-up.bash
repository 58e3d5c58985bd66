#!/usr/bin/env bash
# Makes a small cluster of Spot VMs that serve a page behind a load balancer, kept alive by prevmtable. It is idempotent: run
# it again after a failure, or with another TARGET or other ZONES. prevmtable-down.bash deletes all of it. Tried with gcloud
# on the simulated project, not in Google's cloud.
set -euo pipefail
# shellcheck source=misc/prevmtable-settings.bash
source "$(dirname "${BASH_SOURCE[0]}")/prevmtable-settings.bash"

usage() {
	echo 'usage: [SETTING=VALUE…] misc/prevmtable-up.bash [--yes]

Makes a cluster of Spot VMs behind a load balancer. Run it again to go on after a failure, or to change it.
'
	settings_help
	echo '  TARGET               how many VMs; 3
  MACHINE_TYPE         of these VMs; e2-micro
  MASTER_MACHINE_TYPE  of the VM that runs prevmtable; e2-small
  IMAGE                image of prevmtable with bash and gcloud, in a repository of this project or open to all;
                       if not set, Cloud Build builds one'
}

# make COMMAND… runs a command that makes or changes something. It succeeds if that is so already.
make() {
	local said
	if said=$("$@" 2>&1); then
		return
	fi
	case $said in
	*'already exists'*) note 'there already' ;;
	*) stop "$said

Run it again when that is mended, or misc/prevmtable-down.bash to take away what was made." ;;
	esac
}

# fill FILE prints a file with its @WORDS@ replaced.
fill() {
	local text quoted='' zone startup
	text=$(<"$1")
	for zone in $ZONES; do quoted+="${quoted:+, }\"$zone\""; done
	startup=$(<"$misc/web-startup.sh")
	startup=${startup//\\/\\\\} startup=${startup//\"/\\\"}
	startup=${startup//$'\t'/\\t} startup=${startup//$'\n'/\\n}\\n
	text=${text//@PREFIX@/"$PREFIX"} text=${text//@ZONES@/"$quoted"} text=${text//@TARGET@/"$TARGET"}
	text=${text//@MACHINE_TYPE@/"$MACHINE_TYPE"} text=${text//@STARTUP@/"$startup"}
	text=${text//@IMAGE@/"$IMAGE"} text=${text//@REGISTRY@/"$(registry)"}
	printf '%s\n' "$text"
}

# registry names the registry for which the master VM needs Google's credentials.
registry() {
	case ${IMAGE%%/*} in
	*.pkg.dev | gcr.io | *.gcr.io) echo "${IMAGE%%/*}" ;;
	*) echo gcr.io ;; # any other registry must serve the image without a login
	esac
}

# build makes an image with Cloud Build, and names it in IMAGE.
build() {
	local root=$misc/.. cannot="No IMAGE was given, and none can be built"
	[[ -f $root/Dockerfile ]] || stop "$cannot: there is no Dockerfile in $(cd "$root" && pwd). Give IMAGE=REGISTRY/NAME:TAG."
	local version revision
	version=$(git -C "$root" describe --tags --always --dirty 2>/dev/null || true)
	revision=$(git -C "$root" rev-parse HEAD 2>/dev/null || true)
	IMAGE=$REGION-docker.pkg.dev/$PROJECT/$PREFIX/prevmtable:$(git -C "$root" describe --always --dirty 2>/dev/null || date +%Y%m%d%H%M%S)
	step "Cloud Build builds $IMAGE (some build minutes; Artifact Registry bills its storage until down removes it)"
	(
		gcloud services enable cloudbuild.googleapis.com artifactregistry.googleapis.com &&
			make gcloud artifacts repositories create "$PREFIX" --location="$REGION" --repository-format=docker &&
			gcloud builds submit --config="$misc/cloudbuild.yaml" --substitutions="_IMAGE=$IMAGE,_VERSION=$version,_REVISION=$revision" "$root"
	) || stop "$cannot: see above, or what gcloud beta builds log says. Give IMAGE=REGISTRY/NAME:TAG, or mend that and run this again.
(If a right was lacking: the account that builds wants the role roles/cloudbuild.builds.builder.)"
	note "built; IMAGE=$IMAGE uses it again"
}

make_account() {
	step "service account $ACCOUNT (free)"
	make gcloud iam service-accounts create "$PREFIX" --display-name="prevmtable, cluster $PREFIX"

	step "custom role $ROLE: what misc/prevmtable-role.yaml lists (free)"
	local role do=update
	role=$(look gcloud iam roles describe "$ROLE" --project="$PROJECT" --format='value(name,deleted)')
	case $role in
	'') do=create ;;
	*True) make gcloud iam roles undelete "$ROLE" --project="$PROJECT" ;; # a deleted role keeps its name for weeks
	esac
	make gcloud iam roles "$do" "$ROLE" --project="$PROJECT" --file="$misc/prevmtable-role.yaml"

	step 'the account gets that role, and no other (free)'
	local try said
	for try in 1 2 3 4 5 6; do # a new account is not known at once
		if said=$(gcloud projects add-iam-policy-binding "$PROJECT" --member="serviceAccount:$ACCOUNT" \
			--role="projects/$PROJECT/roles/$ROLE" --condition=None 2>&1); then
			return
		fi
		[[ $said == *'does not exist'* && $try -lt 6 ]] || stop "$said"
		sleep $((try * 2))
	done
}

make_metadata() {
	step "project metadata: attributes ${ATTRIBUTES//,/, } (free; others are not touched)"
	fill "$misc/web-config.rjson" >"$work/config"
	# down deletes everything in regions and zones that were ever used.
	xargs -n 1 <<<"${used:-$REGION} $ZONES" | awk '!seen[$0]++' | xargs >"$work/places"
	make gcloud compute project-info add-metadata --metadata-from-file="$PREFIX-places=$work/places,$PREFIX=$work/config,$PREFIX-join=$misc/hooks/web-join.sh,$PREFIX-leave=$misc/hooks/web-leave.sh"
}

make_balancer() {
	step "firewall rule $PREFIX: anybody may reach port 80 of VMs with that tag, health checks included (free)"
	make gcloud compute firewall-rules create "$PREFIX" --allow=tcp:80 --target-tags="$PREFIX" --source-ranges=0.0.0.0/0

	step "address $PREFIX in $REGION (billed by the hour as long as it exists)"
	make gcloud compute addresses create "$PREFIX" --region="$REGION"

	step "health check and backend service $PREFIX (free)"
	make gcloud compute health-checks create http "$PREFIX" --region="$REGION" --port=80 --request-path=/
	make gcloud compute backend-services create "$PREFIX" --region="$REGION" --load-balancing-scheme=EXTERNAL \
		--protocol=TCP --health-checks="$PREFIX" --health-checks-region="$REGION"

	local zone
	for zone in $ZONES; do
		step "network endpoint group $PREFIX in $zone, which the hooks fill (free)"
		make gcloud compute network-endpoint-groups create "$PREFIX" --zone="$zone" --network-endpoint-type=gce-vm-ip \
			--network=default --subnet=default
		make gcloud compute backend-services add-backend "$PREFIX" --region="$REGION" \
			--network-endpoint-group="$PREFIX" --network-endpoint-group-zone="$zone"
	done

	step "forwarding rule $PREFIX (billed by the hour, and by the traffic)"
	make gcloud compute forwarding-rules create "$PREFIX" --region="$REGION" --load-balancing-scheme=EXTERNAL \
		--address="$PREFIX" --ip-protocol=TCP --ports=80 --backend-service="$PREFIX" --backend-service-region="$REGION"
}

# leave_zones deletes the VMs in zones that are no longer among ZONES, because the daemon no longer manages them. Their groups are
# free of charge and stay until down deletes them.
leave_zones() {
	local zone found name names said
	for zone in ${used#* }; do
		[[ " $ZONES " != *" $zone "* && $zone != "$used" ]] || continue
		found=$(look gcloud compute instances list --zones="$zone" --filter="name~^$POOL" --format='value(name)')
		[[ $found ]] || continue
		mapfile -t names <<<"$found"
		step "${#names[@]} VMs in $zone, which is no longer in ZONES"
		for name in "${names[@]}"; do
			said=$(PROJECT=$PROJECT ZONE=$zone NAME=$name "$misc/hooks/web-leave.sh") ||
				stop "$name in $zone could not be taken out of the load balancer"
			note "$said"
		done
		make gcloud compute instances delete "${names[@]}" --zone="$zone"
	done
}

make_master() {
	step "master VM $MASTER in ${ZONES%% *}: $MASTER_MACHINE_TYPE, always on (billed by the second, with its disk and address)"
	if [[ $master ]]; then
		note "there already; it keeps its image. To change that, delete the VM $MASTER and run this again."
		return
	fi
	fill "$misc/cloud-init.yaml" >"$work/user-data"
	make gcloud compute instances create "$MASTER" --zone="${ZONES%% *}" --machine-type="$MASTER_MACHINE_TYPE" \
		--image-family=cos-stable --image-project=cos-cloud --service-account="$ACCOUNT" --scopes=cloud-platform \
		--metadata=google-logging-enabled=true --metadata-from-file=user-data="$work/user-data"
}

# join_late puts VMs behind the load balancer whose create hook was lost when a daemon ended.
join_late() {
	step "VMs that are not behind the load balancer yet"
	local found zone name said
	found=$(look gcloud compute instances list --filter="name~^$POOL AND status=RUNNING" --format='value(zone.basename(),name)')
	while read -r zone name; do
		[[ $name ]] || continue
		said=$(PROJECT=$PROJECT ZONE=$zone NAME=$name "$misc/hooks/web-join.sh") || stop "$name in $zone could not be put behind the load balancer"
		note "$said"
	done <<<"$found"
}

options "$@"
check_settings
[[ $IMAGE =~ ^[A-Za-z0-9._/:@-]*$ ]] || stop "IMAGE=$IMAGE: that is no name of an image"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

cat <<END
This makes in project $PROJECT, region $REGION:
  - $TARGET Spot VMs $POOL… of type $MACHINE_TYPE in $ZONES, which serve a page to everybody
  - a load balancer $PREFIX with an address of its own
  - the VM $MASTER, which runs prevmtable, with a service account and a custom role
It costs money until misc/prevmtable-down.bash takes it away: VMs, disks, two addresses and the balancer.
END
confirm 'Go on?'

step 'the APIs of Compute Engine and IAM (free; they stay enabled)'
make gcloud services enable compute.googleapis.com iam.googleapis.com cloudresourcemanager.googleapis.com
master=$(look gcloud compute instances list --filter="name=$MASTER" --format='value(name)')
[[ -z $used || ${used%% *} == "$REGION" ]] || stop "the cluster $PREFIX is in REGION=${used%% *}: set that, or take it down first"
if [[ -z $used ]]; then
	foreign=$(look gcloud compute project-info describe --flatten='commonInstanceMetadata.items[]' \
		--format='value(commonInstanceMetadata.items.key)' | { grep --line-regexp -e "$PREFIX" -e "$PREFIX-join" -e "$PREFIX-leave" || true; })
	[[ -z $foreign ]] || stop "the project has an attribute ${foreign//$'\n'/, } already, which this did not make: take another PREFIX"
fi
[[ $master || $IMAGE ]] || build
make_account
make_metadata
make_balancer
make_master
leave_zones
[[ -z $master ]] || join_late

address=$(gcloud compute addresses describe "$PREFIX" --region="$REGION" --format='value(address)')
cat <<END

All there. In a few minutes, when the VMs have started:

  curl http://$address/

How many VMs: $(settings_given)TARGET=5 misc/prevmtable-up.bash
What it does: gcloud compute instances list --project=$PROJECT --filter='name~^$PREFIX'
Away with it: $(settings_given)misc/prevmtable-down.bash
END
