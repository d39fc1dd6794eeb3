#!/bin/bash
# A small DAOS system of the tests' own, which they may freeze, kill and fill: one engine with one target in a tmpfs, on
# loopback. Needs root, and daos_server, daos_agent, dmg and daos on the path.
#
#     tests/daos/system.sh up DIRECTORY [POOL-SIZE]   start it there (or what of it does not run), with a pool `tank`
#     tests/daos/system.sh down DIRECTORY             end it, and forget its data
#     tests/daos/system.sh freeze|kill|start DIRECTORY        the engine: SIGSTOP, SIGKILL, and either undone
#     tests/daos/system.sh agent-stop|agent-start DIRECTORY   the agent
#     tests/daos/system.sh dmg DIRECTORY WORD...              the administrator's command, for this system
#
# The variables that lead a client there are in DIRECTORY/environment.
set -u

# Beside the ports that a system on the same machine has unless it was told others.
control_port=${SIDESTEP_TEST_DAOS_PORT:-10401}
fabric_port=$((control_port + 21500))
name=sidestep_test

verb=${1:?up, down, freeze, kill, start, agent-stop, agent-start or dmg}
directory=$(realpath -m "${2:?a directory}")
shift 2
run=$directory/run

fail() { echo "system.sh: $*" >&2; exit 1; }

# The recorded process, if it still runs and is that program: a number may have been given to another one.
alive() {
    local id
    id=$(cat "$run/$1.pid" 2> /dev/null) && [ -n "$id" ] && [ "$(basename "$(readlink "/proc/$id/exe")")" = "$1" ]
}
signal() { alive "$2" && kill "-$1" "$(cat "$run/$2.pid")"; }

# Repeats a command until it succeeds, for so many half seconds.
await() {
    local left=$1
    shift
    until "$@" > /dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.5
    done
}

administer() { D_LOG_FILE=$directory/log/dmg.log dmg -o "$directory/control.yml" "$@"; }

configure() {
    mkdir -p "$run/server" "$run/agent" "$directory/log" "$directory/scm"
    cat > "$directory/server.yml" << END
name: $name
mgmt_svc_replicas: ['127.0.0.1']
port: $control_port
control_iface: lo
provider: ofi+tcp
transport_config: {allow_insecure: true}
socket_dir: $run/server
disable_vfio: true
disable_vmd: true
disable_hotplug: true
disable_hugepages: true
nr_hugepages: 0
allow_thp: true
system_ram_reserved: 1
disable_engine_auto_restart: true
control_log_mask: ERROR
control_log_file: $directory/log/server.log
helper_log_file: $directory/log/helper.log
engines:
-
  targets: 1
  nr_xs_helpers: 0
  first_core: 0
  fabric_iface: lo
  fabric_iface_port: $fabric_port
  env_vars: [DAOS_TARGET_OVERSUBSCRIBE=1, DAOS_MD_CAP=128]
  log_mask: ERR
  log_file: $directory/log/engine.log
  storage: [{class: ram, scm_mount: $directory/scm, scm_size: 4}]
END
    cat > "$directory/agent.yml" << END
name: $name
access_points: ['127.0.0.1']
port: $control_port
transport_config: {allow_insecure: true}
runtime_dir: $run/agent
log_file: $directory/log/agent.log
# An agent that ends takes its clients' connections with it, unless it is told not to.
disable_auto_evict: true
END
    cat > "$directory/control.yml" << END
name: $name
hostlist: ['127.0.0.1']
port: $control_port
transport_config: {allow_insecure: true}
END
    cat > "$directory/environment" << END
DAOS_AGENT_DRPC_DIR=$run/agent
END
}

start_server() {
    alive daos_server && return
    # The server refuses to run beside another process of its name; a client's variables are none of its.
    env -u FI_TCP_IFACE -u DAOS_AGENT_DRPC_DIR -u D_LOG_FILE setsid nohup nice -n 10 \
        bash -c 'exec -a "$0" daos_server start -o "$1" --auto-format' "$name" "$directory/server.yml" \
        >> "$directory/log/server.out" 2>&1 < /dev/null &
    echo $! > "$run/daos_server.pid"
}

start_agent() {
    alive daos_agent && return
    rm -f "$run/agent/daos_agent.sock"
    setsid nohup daos_agent -o "$directory/agent.yml" start >> "$directory/log/agent.out" 2>&1 < /dev/null &
    echo $! > "$run/daos_agent.pid"
    await 40 test -S "$run/agent/daos_agent.sock" || fail "the agent does not start: $directory/log/agent.out"
}

# The engine is the server's child; its number changes with each start.
find_engine() {
    local task child
    for task in "/proc/$(cat "$run/daos_server.pid")"/task/*/children; do
        for child in $(cat "$task" 2> /dev/null); do
            [ "$(basename "$(readlink "/proc/$child/exe")")" = daos_engine ] && echo "$child" > "$run/daos_engine.pid"
        done
    done
    alive daos_engine
}
joined() { administer system query 2> /dev/null | grep -q Joined; }
serves() { administer pool query tank 2> /dev/null | grep -q 'Ready\|Degraded'; }

case $verb in
up)
    configure
    start_server
    engine_or_no_server() { find_engine || ! kill -0 "$(cat "$run/daos_server.pid")"; }
    await 120 engine_or_no_server && find_engine || fail "the engine does not start: $directory/log/server.out"
    await 60 joined || fail "the engine does not join: $directory/log"
    start_agent
    serves || administer pool create "--scm-size=${1:-2G}" tank > /dev/null || fail "no pool"
    ;;
down)
    signal CONT daos_engine
    signal TERM daos_agent
    signal TERM daos_server
    ended() { ! alive daos_server && ! alive daos_engine; }
    await 40 ended || { signal KILL daos_server; signal KILL daos_engine; }
    signal KILL daos_agent
    await 10 umount "$directory/scm"
    rm -rf "$directory"
    ;;
freeze) signal STOP daos_engine || fail "no engine" ;;
kill) signal KILL daos_engine || fail "no engine" ;;
start)
    signal CONT daos_engine && exit
    # The server needs a moment to see that its engine is gone; asked before, it starts none.
    started() { find_engine || { administer system start; find_engine; }; }
    await 60 started || fail "no engine"
    await 60 joined || fail "the engine does not join again"
    await 60 serves || fail "the pool is not served again"
    ;;
agent-stop)
    signal TERM daos_agent || fail "no agent"
    gone() { ! alive daos_agent; }
    await 20 gone || fail "the agent does not end"
    ;;
agent-start) start_agent ;;
dmg) administer "$@" ;;
*) fail "$verb: up, down, freeze, kill, start, agent-stop, agent-start or dmg" ;;
esac
