# Settings and functions of the test drive, for prevmtable-up.bash and prevmtable-down.bash. Settings come from the environment. A
# setting that is not set stays as the cluster has it; see settings_in_force.
# shellcheck shell=bash disable=SC2034 # each script uses some of them

PROJECT=${PROJECT:-$(gcloud config get-value project 2>/dev/null || true)}
PREFIX=${PREFIX:-prevmtable-web}
REGION=${REGION:-}
ZONES=${ZONES:-}
TARGET=${TARGET:-}
MACHINE_TYPE=${MACHINE_TYPE:-}
MASTER_MACHINE_TYPE=${MASTER_MACHINE_TYPE:-e2-small} # each run of gcloud in a hook takes about 100 MB
IMAGE=${IMAGE:-}

# The names of everything that the scripts make start with PREFIX. Everything with such a name belongs to the cluster.
POOL=$PREFIX-vm-
MASTER=$PREFIX-master
ACCOUNT=$PREFIX@$PROJECT.iam.gserviceaccount.com
ROLE=${PREFIX//-/_}
ATTRIBUTES=$PREFIX,$PREFIX-join,$PREFIX-leave,$PREFIX-places

misc=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

settings_help() {
	cat <<'END'
  --yes        do not ask
  -h, --help   this text

Settings, from the environment. A setting that is not set stays as it is. The initial values are:

  PROJECT              the project; gcloud's own setting
  PREFIX               starts all names: letters, digits and hyphens, 6 to 23; prevmtable-web
  REGION               us-central1
  ZONES                zones of that region, separated by blanks; REGION-a REGION-b
END
}

# stop MESSAGE… ends the script.
stop() {
	printf '\n%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# options ARGUMENT… reads the command line.
options() {
	yes=
	local argument
	for argument; do
		case $argument in
		--yes) yes=yes ;;
		-h | --help)
			usage
			exit 0
			;;
		*)
			usage >&2
			stop "unknown argument $argument"
			;;
		esac
	done
}

# settings_in_force completes the settings from the cluster or, if there is none, with the defaults. It sets used to the region and
# all zones that up has used so far, which up keeps in an attribute.
settings_in_force() {
	local attributes document
	attributes=$(look gcloud compute project-info describe --flatten='commonInstanceMetadata.items[]' \
		--format='value(commonInstanceMetadata.items.key,commonInstanceMetadata.items.value)')
	used=$(awk -v key="$PREFIX-places" '$1 == key { $1 = ""; print substr($0, 2) }' <<<"$attributes")
	document=$(awk -v key="$PREFIX" '/^}/ { on = 0 } on; $1 == key { on = 1 }' <<<"$attributes")
	REGION=${REGION:-${used%% *}}
	REGION=${REGION:-us-central1}
	ZONES=${ZONES:-$(sed -n 's/^ *AllowedZones: \[\(.*\)\]$/\1/p' <<<"$document" | tr -d '",')}
	ZONES=${ZONES:-$REGION-a $REGION-b}
	TARGET=${TARGET:-$(sed -n 's/^ *TargetVMCount: \([0-9]*\)$/\1/p' <<<"$document")}
	TARGET=${TARGET:-3}
	MACHINE_TYPE=${MACHINE_TYPE:-$(sed -n 's,^ *machineType: "zones/{zone}/machineTypes/\(.*\)"$,\1,p' <<<"$document")}
	MACHINE_TYPE=${MACHINE_TYPE:-e2-micro}
}

# check_settings completes the settings, and refuses those that would fail half-way or do harm.
check_settings() {
	command -v gcloud >/dev/null || stop 'gcloud is not installed: https://cloud.google.com/sdk/docs/install'
	[[ $PROJECT && $PROJECT != '(unset)' ]] || stop 'no project; set PROJECT, or run gcloud config set project PROJECT'
	[[ $PREFIX =~ ^[a-z][a-z0-9-]{4,21}[a-z0-9]$ ]] || stop "PREFIX=$PREFIX: want 6 to 23 lower-case letters, digits and hyphens, a letter first"
	case $PREFIX in ssh-keys | startup-script* | shutdown-script* | enable-* | block-project-ssh-keys | google-* | serial-port-*)
		stop "PREFIX=$PREFIX: Google uses an attribute of that name" ;;
	esac
	[[ $PREFIX != *-vm* ]] || stop "PREFIX=$PREFIX: must not contain -vm, which follows the prefix in the names of the pool's VMs"
	export CLOUDSDK_CORE_PROJECT=$PROJECT CLOUDSDK_CORE_DISABLE_PROMPTS=1
	settings_in_force
	[[ $MACHINE_TYPE =~ ^[a-z0-9-]+$ ]] || stop "MACHINE_TYPE=$MACHINE_TYPE: not the name of a machine type"
	[[ $TARGET =~ ^(0|[1-9][0-9]*)$ ]] || stop "TARGET=$TARGET: want a number of VMs"
	local zone
	for zone in $ZONES; do
		[[ $zone == "$REGION"-[a-z] ]] || stop "ZONES=$ZONES: $zone is not in REGION=$REGION, and the load balancer has one region"
	done
}

# look COMMAND… prints what a gcloud command finds, or nothing if the resource does not exist.
look() {
	local complaints
	complaints=$(mktemp)
	if "$@" --verbosity=error 2>"$complaints"; then
		rm "$complaints"
		return
	fi
	local said
	said=$(<"$complaints")
	rm "$complaints"
	case $said in
	*'was not found'* | *NOT_FOUND*) ;;
	*'has not been used'* | *'is disabled'*) ;; # the whole service is not enabled
	*) stop "$said" ;;
	esac
}

# confirm QUESTION asks before anything is changed.
confirm() {
	[[ $yes ]] && return
	local answer=
	[[ -t 0 ]] || stop 'there is no terminal to ask on; give --yes'
	read -r -p "$1 [y/N] " answer || true
	[[ $answer == [yY]* ]] || stop 'nothing was changed'
}

# settings_given prints the settings that name the cluster, in the form that precedes a command.
settings_given() {
	local given=''
	[[ $PREFIX == prevmtable-web ]] || given+="PREFIX=$PREFIX "
	printf '%s' "PROJECT=$PROJECT $given"
}

# step TEXT announces a step. If the script fails, the last announcement says where.
step() { printf '\n* %s\n' "$*"; }

# note TEXT prints a result.
note() { printf '  %s\n' "$*"; }
