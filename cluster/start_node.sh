#!/usr/bin/env bash
# Starts Ray on a node, with token authentication, TLS, and files that only this user may read:
#
#   start_node.sh head [options of ray start]
#   start_node.sh worker HEAD_IP [options of ray start]
#
# XSTAT_SECRETS holds ca.crt, ca.key and token (make_secrets.py). The node makes a certificate for its own address, as Ray
# checks addresses. XSTAT_NODE_STATE gets the certificate, logs, sockets and spilled objects: put it on an encrypted disk.
set -euo pipefail
umask 077
role=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
secrets=${XSTAT_SECRETS:-$HOME/xstat-secrets}
state=${XSTAT_NODE_STATE:-$HOME/xstat-state}
ip=${XSTAT_NODE_IP:-$(hostname -I | cut -d ' ' -f 1)}
gcs=${XSTAT_GCS_PORT:-6379}
# Workers use 10002 to 19999; whatever is fixed stays outside.
first=${XSTAT_FIRST_PORT:-27001}

mkdir -p "$state/spill"
python "$here/make_secrets.py" "$state/tls" --authority "$secrets" --node node --ip "$ip"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$secrets/token"
export RAY_USE_TLS=1 RAY_TLS_CA_CERT="$state/tls/ca.crt"
export RAY_TLS_SERVER_CERT="$state/tls/node.crt" RAY_TLS_SERVER_KEY="$state/tls/node.key"
# The password of the database with the ledgers, if they are in one (docs/budget.md): libpq reads it.
if [ -f "$secrets/pgpass" ]; then export PGPASSFILE="$secrets/pgpass"; fi

options=(
  --node-ip-address "$ip" --node-manager-port "$first" --object-manager-port "$((first + 1))"
  --metrics-export-port "$((first + 2))" --runtime-env-agent-port "$((first + 3))"
  --dashboard-agent-grpc-port "$((first + 4))" --dashboard-agent-listen-port "$((first + 5))"
  --min-worker-port 10002 --max-worker-port 19999 --object-spilling-directory "$state/spill" --disable-usage-stats
)
case $role in
  # The dashboard speaks plain HTTP: it stays on this machine, and is reached through SSH.
  head) exec ray start --head --port "$gcs" --num-cpus 0 --dashboard-host 127.0.0.1 --temp-dir "$state/ray" \
    "${options[@]}" "$@" ;;
  worker)
    head=$1
    shift
    exec ray start --address "$head:$gcs" "${options[@]}" "$@"
    ;;
  *)
    echo "start_node.sh head | worker HEAD_IP" >&2
    exit 2
    ;;
esac
