#!/bin/sh
# run.sh: fills the demo's shops once, says where they are, and serves them.
set -eu
cd "$(dirname "$0")/.."
PERIGEE=${PERIGEE_BIN:-build/perigee}
CONFIG=demo/perigee.conf
DATA=${PERIGEE_DATA:-var}
PORT=${PERIGEE_PORT:-8080}

[ -z "${PERIGEE_POSTGRES_URL:-}" ] || "$PERIGEE" migrate --config "$CONFIG"

# Only once: what was changed in the shops since must not come back as it was.
if [ ! -e "$DATA/demo-loaded" ]; then
    mkdir -p "$DATA"
    for shop in acme tokyo; do
        "$PERIGEE" import --config "$CONFIG" --tenant "$shop" "demo/$shop.csv"
    done
    : >"$DATA/demo-loaded"
fi

kept="the data stay in $DATA/."
[ -z "${PERIGEE_REDIS_URL:-}${PERIGEE_POSTGRES_URL:-}" ] || kept="the products stay in $DATA/,
and what is in Redis and PostgreSQL (carts, keys, the audit) for as long as those run."

cat <<TEXT

Two shops with different rules:
  http://acme.localhost:$PORT/api/products     US dollars, key demo-owner-acme
  http://tokyo.localhost:$PORT/api/products    yen,        key demo-owner-tokyo

Try:
  curl -s 'http://acme.localhost:$PORT/api/products/search?q=tent&facets=1'
  curl -s -X POST http://acme.localhost:$PORT/api/products -H 'Authorization: Bearer demo-owner-acme' \\
       -H 'Content-Type: application/json' -d '{"name":"Mug","sku":"MUG-1","price":9.50,"stock":5}'

Edit tenants/acme/pricing.lua or scripts/ and ask again. Ctrl-C ends the demo; $kept

TEXT
exec "$PERIGEE" serve --config "$CONFIG" "$@"
