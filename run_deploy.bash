#!/usr/bin/env bash
# Runs the daemon in a container on this machine, outside Compute Engine, beside a container with a metadata server (faux-metadata).
# Removes both at the end.
#
#	./run_deploy.bash PROJECT KEY=FILE... [-- FLAG...]
#	./run_deploy.bash my-project prevmtable=misc/prevmtable-config.rjson pool-create=misc/hook.sh -- -dry-run
#
# The daemon sees the files as the project's metadata attributes. A change is in force as soon as it is saved. FLAGs are the
# daemon's. The daemon works on the real PROJECT, with your application default credentials: gcloud auth application-default login
# creates them, and GOOGLE_APPLICATION_CREDENTIALS names others.
#
# DOCKER=podman uses another engine. A rootless Docker engine needs METADATA_USER=0:0, the user of the container that reads your
# files.
set -euo pipefail # inherit_errexit is too new for the bash of macOS

usage() {
	sed -n -e '1d' -e '/^set /q' -e 's/^# \{0,1\}//p' "$0" >&2
	exit 2
}

fail() {
	printf 'run_deploy: %s\n' "$*" >&2
	exit 1
}

here=$(cd "$(dirname "$0")" && pwd)
engine=${DOCKER:-docker}
[[ ${1-} && $1 != -* && $1 != *=* ]] || usage
project=$1
shift

# The folder of each file is mounted, not the file. Many editors replace a file when they save it, and a mounted file would stay the
# old one.
attributes=() mounts=()
while (($#)) && [[ $1 != -- ]]; do
	[[ $1 == ?*=?* ]] || usage
	key=${1%%=*} file=${1#*=}
	[[ -f $file ]] || fail "$file: no such file"
	folder=$(cd "$(dirname "$file")" && pwd)
	[[ $folder$file != *[,\"]* ]] || fail "$file: neither its name nor its folder's may have a comma or a quote"
	mounts+=(--mount "type=bind,source=$folder,target=/attributes/$key,readonly")
	attributes+=(-metadata-from-file "$key=/attributes/$key/$(basename "$file")")
	shift
done
((${#attributes[@]})) || usage
(($# == 0)) || shift # the --

credentials=${GOOGLE_APPLICATION_CREDENTIALS:-${CLOUDSDK_CONFIG:-$HOME/.config/gcloud}/application_default_credentials.json}
[[ -r $credentials ]] || fail "$credentials cannot be read; gcloud auth application-default login creates it"
credentials=$(cd "$(dirname "$credentials")" && pwd)/$(basename "$credentials")
[[ $credentials != *[,\"]* ]] || fail "$credentials: neither its name nor its folder's may have a comma or a quote"

# The names are unique, so that two runs can coexist.
name=prevmtable-$$-$RANDOM
network=$name-network metadata=$name-metadata daemon=$name-daemon
scratch=$(mktemp -d)

# remove lets the daemon finish what is in flight, shows the rest of its log, and removes both containers.
# shellcheck disable=SC2317 # a trap calls it
remove() {
	trap '' INT TERM HUP # a second Ctrl-C would leave a container behind
	"$engine" stop -t 15 "$daemon" >/dev/null 2>&1 || true
	[[ -z ${following-} ]] || wait "$following" || true
	"$engine" rm --force "$daemon" "$metadata" >/dev/null 2>&1 || true
	"$engine" network rm "$network" >/dev/null 2>&1 || true
	[[ -z ${serving-} ]] || { kill "$serving" && wait "$serving"; } 2>/dev/null || true
	rm -r "$scratch"
}
trap remove EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

"$engine" build --iidfile "$scratch/image" --tag prevmtable \
	--build-arg VERSION="$(git -C "$here" describe --tags --always --dirty 2>/dev/null || true)" \
	--build-arg REVISION="$(git -C "$here" rev-parse HEAD 2>/dev/null || true)" "$here"
image=$(<"$scratch/image")

confined=(--detach --read-only --cap-drop ALL --security-opt no-new-privileges)
user=(--user "${METADATA_USER:-$(id -u):$(id -g)}")
[[ $(basename "$engine") != podman ]] || ((EUID == 0)) || user+=(--userns keep-id) # otherwise the container maps you to another user

# The containers share a network namespace, and the metadata server listens on its loopback. So nobody else gets your tokens, not
# even other users of this machine, who can reach a container's address. Only the metadata server sees your credentials. Without
# label=disable, SELinux would deny it access to your files.
"$engine" network create "$network" >/dev/null
"$engine" run "${confined[@]}" --name "$metadata" --network "$network" --publish 127.0.0.1::9797 \
	--no-healthcheck "${user[@]}" --security-opt label=disable "${mounts[@]}" \
	--mount "type=bind,source=$credentials,target=/credentials.json,readonly" \
	--env GOOGLE_APPLICATION_CREDENTIALS=/credentials.json --entrypoint /usr/local/bin/faux-metadata \
	"$image" -addr localhost:9798 -project "$project" "${attributes[@]}" >/dev/null

# Hooks run from /tmp. gcloud reads GCE_METADATA_ROOT.
"$engine" run "${confined[@]}" --name "$daemon" --network "container:$metadata" --tmpfs /tmp:rw,exec,mode=1777 \
	--env GCE_METADATA_HOST=localhost:9798 --env GCE_METADATA_ROOT=localhost:9798 \
	--env PREVMTABLE_LOG_FORMAT="${PREVMTABLE_LOG_FORMAT:-text}" "$image" "$@" >/dev/null
printf 'run_deploy: status page at http://%s/; Ctrl-C ends it\n' "$("$engine" port "$metadata" 9797/tcp | head -n 1)" >&2

"$engine" logs --follow "$metadata" &
serving=$!
"$engine" logs --follow "$daemon" &
following=$!
while kill -0 "$serving" && kill -0 "$following"; do sleep 0.5; done 2>/dev/null
status=$("$engine" inspect --format '{{if .State.Running}}running{{else}}{{.State.ExitCode}}{{end}}' "$daemon")
[[ $status != running ]] || fail 'the metadata server has ended'
exit "$status"
