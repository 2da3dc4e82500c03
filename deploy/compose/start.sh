#!/bin/sh
# start.sh NAME: makes the node of that name where there is none, and runs it. The aggregator's deploys the market.
set -eu
name=$1
home=$MARKET_NODE_HOME
shared=/srv/market
export MARKET_NODE_PASSWORD_FILE="$home/password"

enter() {
    [ -f "$home/password" ] || (umask 077; head -c 32 /dev/urandom | base64 >"$home/password")
    [ -f "$home/config.toml" ] || market-node init --rpc http://chain:8545 --store http://ipfs:5001 "$@"
    grep -q '^state' "$home/config.toml" || echo "state = \"postgresql://market@postgres/$name\"" >>"$home/config.toml"
    [ -f "$home/trainer.py" ] || cp /opt/examples/trainer.py "$home/"
}

if [ ! -f "$home/node.toml" ]; then
    if [ "$name" = aggregator ]; then
        enter
        market-node deploy --json >"$home/market.json"
        market-node fund 1000 --mint
        python /opt/examples/digits.py "$home/models"
        market-node task create "$home/models/base.safetensors" --name digits --json >"$home/task.json"
        python - "$home" "$shared" <<'PYTHON'
import json, sys
home, shared = sys.argv[1:]
market, task = (json.load(open(f"{home}/{name}.json")) for name in ("market", "task"))
with open(f"{shared}/unfinished", "w") as file:
    file.write(f"market={market['market']}\nblock={market['block']}\ntask={task['task']}\n")
PYTHON
        mv "$shared/unfinished" "$shared/market"
    else
        until [ -f "$shared/market" ]; do sleep 2; done
    fi
    . "$shared/market"
    if [ "$name" != aggregator ]; then
        enter --market "$market" --from-block "$block"
        market-node fund 1000 --mint
    fi
    kind=$name
    case $name in aggregator | auditor) ;; *) kind=participant ;; esac
    sed "s/TASK/$task/; s/NAME/$name/" "/etc/market-node/$kind.toml" >"$home/node.toml.part"
    mv "$home/node.toml.part" "$home/node.toml"
fi
exec market-node run --config "$home/node.toml" --log json
