#!/usr/bin/env bash
# Measures the daemon's costs, with the real binary against gcesim over loopback. Prints tables of misc/MEASUREMENTS.md.
#
#   misc/bench.bash                        all tables, in about ten minutes
#   misc/bench.bash 10:1 1000:3            fills of VMS:ZONES
#   misc/bench.bash steady:100000:100      updates without a fill: the VMs exist already
#   misc/bench.bash reactions              reaction times, and hooks per second
#
# Needs Linux, Go, curl and awk. Operations take 5 to 10 s. The simulated project has Google's default quotas: 1,500 calls per minute,
# kind and region, of which the daemon uses 1,200 for creations. A region has four zones.
# shellcheck disable=SC2016 # await evaluates its argument later
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

(($#)) || set -- 10:1 100:3 1000:3 1000:100 10000:20 10000:100 steady:1000:100 steady:10000:100 steady:100000:100 reactions

dir=$(mktemp -d)
simulator=
stop() {
	if [[ -n $simulator ]]; then
		kill "$simulator" 2>/dev/null || true # gcesim ends the daemon
		wait "$simulator" || true
		simulator=
	fi
}
trap 'stop; rm -rf "$dir"' EXIT
CGO_ENABLED=0 go build -o "$dir" ./cmd/gcesim ./cmd/prevmtable

# zones N [QUOTE] prints N names, four to a region, separated by commas.
zones() {
	awk -v n="$1" -v quote="${2-}" 'BEGIN {
		for (i = 0; i < n; i++)
			printf "%s%sus-bench%d-%c%s", i ? "," : "", quote, int(i / 4) + 1, 97 + i % 4, quote
	}'
}

# configuration VMS ZONES REST [HOOK]
configuration() {
	cat <<-END
		{
			Prefix: "bench-", TargetVMCount: $1, AllowedZones: [$(zones "$2" '"')], SecondsToRest: $3
			Hooks: {Create: "${4-}"}
			Instance: {
				machineType: "zones/{zone}/machineTypes/e2-micro"
				scheduling: {provisioningModel: "SPOT", instanceTerminationAction: "DELETE"}
				disks: [{boot: true, autoDelete: true, initializeParams: {sourceImage: "projects/debian-cloud/global/images/family/debian-13"}}]
				networkInterfaces: [{network: "global/networks/default"}]
			}
		}
	END
}

# present VMS ZONES prints gcesim commands that make running VMs with names like the daemon's.
present() {
	zones "$2" | awk -v vms="$1" -v RS=, '
		{ zone[n++] = $1 }
		END {
			for (i = 0; i < vms; i++)
				printf "vm %s bench-%08x-0000-4000-8000-000000000000 RUNNING spot\n", zone[i % n], i
		}'
}

# start SCRIPT ZONES starts the simulated project with a script and "$dir/config", and the daemon in it.
start() {
	rm -f "$dir/pid"
	printf '#!/bin/sh\n:\n' >"$dir/hook"
	"$dir/gcesim" -seed 1 -zones "$(zones "$2")" -script "$1" -metadata-from-file "prevmtable=$dir/config,hook=$dir/hook" -- \
		bash -c 'echo $$ >"$1/pid.new"; mv "$1/pid.new" "$1/pid"; exec "$1/prevmtable" -http localhost:0 -log-format text 2>"$1/log"' bash "$dir" \
		2>"$dir/simulator.log" &
	simulator=$!
	await 'test -s "$dir/pid"'
	pid=$(<"$dir/pid")
	control=$(sed -n 's/.*control it at //p' "$dir/simulator.log")
	await 'grep -q "msg=\"status page\"" "$dir/log"'
	page=$(sed -n 's/.*msg="status page" url=//p' "$dir/log")
}

# await CONDITION [PAUSE] waits for a shell condition, five minutes at most. PAUSE bounds the load of the checks on the daemon.
await() {
	local end=$((SECONDS + 300))
	until eval "$1"; do
		if ((SECONDS > end)) || ! kill -0 "$simulator"; then
			printf 'did not happen: %s\n' "$1" >&2
			tail -n 5 "$dir/simulator.log" "$dir/log" >&2
			exit 1
		fi
		sleep "${2-0.2}"
	done
}

# now prints the time in ms; sim runs a command; calls and bytes print totals of a method; metric prints the sum of a metric.
now() { printf '%s\n' $((${EPOCHREALTIME/[.,]/} / 1000)); }
sim() { curl -sS --fail -d "$1" "$control"; }
calls() { sim "calls $1" | awk '{ print $1 }'; }
bytes() { sim "calls $1" | awk '{ print $2 }'; }
metric() { curl -sS "${page}metrics" | awk -v name="$1" 'index($1, name) == 1 { sum += $2 } END { printf "%d\n", sum }'; }
# cpu prints the daemon's CPU time in ms; memory prints a field of its /proc status in MB.
cpu() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) * 1000 / hz }' "/proc/$pid/stat"; }
memory() { awk -v what="$1:" '$1 == what { printf "%.0f\n", $2 * 1024 / 1e6 }' "/proc/$pid/status"; }

# steady prints bytes and CPU per update, averaged over several without any HTTP request to the daemon.
steady() {
	local count='metric prevmtable_update_duration_seconds_count' n cpu bytes
	sleep $((2 * rest)) # let the fill settle
	n=$($count) bytes=$(bytes instances.list) cpu=$(cpu)
	sleep $((5 * rest))
	cpu=$(awk -v before="$cpu" -v after="$(cpu)" 'BEGIN { print after - before }')
	awk -v n=$(($($count) - n)) -v bytes=$(($(bytes instances.list) - bytes)) -v cpu="$cpu" 'BEGIN { printf "%.1f %.0f\n", bytes / n / 1000, cpu / n }'
}

rest=4 # seconds between two updates

# row VMS ZONES FILL prints a line of the first table; FILL is empty if the VMs exist already.
row() {
	local vms=$1 zones=$2 fill=$3 from full=- limit=- each=- kilobytes milliseconds
	if [[ -n $fill ]]; then
		echo 'optime * 5s 10s' >"$dir/script"
	else
		present "$vms" "$zones" >"$dir/script"
	fi
	configuration "$vms" "$zones" "$rest" >"$dir/config"
	from=$(now)
	start "$dir/script" "$zones"
	await "((\$(metric prevmtable_live_vms) == $vms))"
	if [[ -n $fill ]]; then
		full=$(($(now) - from))
		full=$((full / 1000)).$((full % 1000 / 100))
		# The limit: the slowest operation, 2,000 operations at a time, or the minutes that the quota takes.
		limit=$(awk -v vms="$vms" -v regions=$(((zones + 3) / 4)) 'BEGIN {
			rounds = vms / 2000 * 7.5
			minutes = int((vms - 1) / (1200 * regions)) * 60 + 10
			limit = rounds > minutes ? rounds : minutes
			printf "%.0f", limit < 10 ? 10 : limit }')
		each=$(awk -v n=$(($(calls 'instances.*') + $(calls 'zoneOperations.*'))) -v vms="$vms" 'BEGIN { printf "%.2f", n / vms }')
	fi
	read -r kilobytes milliseconds < <(steady)
	printf '| %s | %s | %s | %s | %s | %s | %s | %s, %s |\n' "$vms" "$zones" "$full" "$limit" "$each" "$kilobytes" "$milliseconds" "$(memory VmHWM)" "$(memory VmRSS)"
	stop
}

# insert_after COMMAND prints the seconds until the first insert.
insert_after() {
	local before from
	before=$(calls instances.insert) from=$(now)
	sim "$1"
	await "((\$(calls instances.insert) > $before))" 0.02
	awk -v ms=$(($(now) - from)) 'BEGIN { printf "%.2f ", ms / 1000 }'
}

# reactions prints the second table.
reactions() {
	local rest i first last done='metric prevmtable_hook_duration_seconds_count{'
	printf '\n| reaction | seconds |\n| --- | --- |\n'
	echo 'optime * 200ms 400ms' >"$dir/script"
	for rest in 1 30; do
		configuration 100 3 "$rest" hook >"$dir/config"
		start "$dir/script" 3
		await '(($(metric prevmtable_live_vms) == 100))'
		printf '| from a preemption to the insert, `SecondsToRest` %s | ' "$rest"
		for i in 1 2 3; do
			sleep $((i * rest / 4)).3 # a different moment between two updates
			insert_after 'preempt us-bench1-a 1'
			await '(($(metric prevmtable_live_vms) == 100))'
		done
		printf '|\n'
		((rest == 30)) || stop
	done
	printf '| from a configuration to the first insert | '
	for i in 101 102 103; do
		sleep 2
		insert_after "$(change "$i")"
	done
	printf '|\n'
	await "((\$($done) >= 103))"
	sim "$(change 1103)"
	await "((\$($done) > 110))" 0.05
	first=$(now)
	await "((\$($done) >= 1103))" 0.05
	last=$(now)
	printf '\n%d hooks per second, a script that does nothing, 8 at a time\n' $((990 * 1000 / (last - first)))
	stop
}

# change TARGET writes the configuration with another target, and prints the command that puts it in force.
change() {
	configuration "$1" 3 30 hook >"$dir/config"
	printf 'metadata-file prevmtable %s/config' "$dir"
}

printf '%s, %s, %s processors, %s\n\n' "$(date +%F)" "$(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" "$(go env GOVERSION)"
[[ $* == reactions ]] || printf '| VMs | zones | full after s | limit s | calls per VM | kB per update | CPU ms per update | MB resident, most and after |\n'
[[ $* == reactions ]] || printf '| --- | --- | --- | --- | --- | --- | --- | --- |\n'
for what in "$@"; do
	case $what in
	reactions) reactions ;;
	steady:*:*) IFS=: read -r _ vms zones <<<"$what" && row "$vms" "$zones" '' ;;
	*:*) IFS=: read -r vms zones <<<"$what" && row "$vms" "$zones" fill ;;
	*) printf 'unknown argument %s; see the top of %s\n' "$what" "$0" >&2 && exit 2 ;;
	esac
done
