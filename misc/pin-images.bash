#!/usr/bin/env bash
# Pins the base images of the Dockerfile by digest in addition to their tags, or renews their digests. A tag can be moved; a digest
# cannot. It asks the registries with skopeo or, without skopeo, with docker buildx.
#
#	misc/pin-images.bash [DOCKERFILE]
set -euo pipefail
shopt -s inherit_errexit

fail() {
	printf 'pin-images: %s\n' "$*" >&2
	exit 1
}

# digest IMAGE prints the digest of an image, for all its platforms.
digest() {
	if command -v skopeo >/dev/null; then
		skopeo inspect --no-tags --format '{{.Digest}}' "docker://$1"
	else
		docker buildx imagetools inspect "$1" | awk '$1 == "Digest:" && !found { print $2; found = 1 }'
	fi
}

file=${1-$(dirname "$0")/../Dockerfile}
text=$(<"$file")
found=0
while read -r argument image; do
	tagged=${image%@*}
	pinned=$tagged@$(digest "$tagged")
	[[ $pinned =~ @sha256:[0-9a-f]{64}$ ]] || fail "$tagged: no digest"
	text=${text/"ARG $argument=$image"/"ARG $argument=$pinned"}
	printf '%s\n' "$pinned"
	found=1
done < <(sed -n 's/^ARG \([A-Z]*_IMAGE\)=\(.*\)$/\1 \2/p' "$file")
((found)) || fail "$file names no image as ARG …_IMAGE=…"
printf '%s\n' "$text" >"$file"
