/* config_keys.h: every setting once: its kind, name, default, bounds, unit and meaning. */
#ifndef PERIGEE_CONFIG_KEYS_H
#define PERIGEE_CONFIG_KEYS_H

/* X(KIND, key, default, least, most, unit, sentence). The bounds of TEXT and SECRET are lengths in bytes; a FLAG is
   true or false; a CHOICE's unit lists what it may be; a RATE is what base/rate.h reads. A SECRET is shown as "set". */
#define CONFIG_KEYS(X)                                                                             \
    X(TEXT, host, "127.0.0.1", 1, 511, "",                                                         \
        "addresses to listen on, with commas between them; 0.0.0.0 and :: mean all")               \
    X(NUMBER, port, "8080", 0, 65535, "", "TCP port; 0 takes a free one")                          \
    X(NUMBER, workers, "1", 1, 64, "processes", "worker processes; each serves on one core")       \
    X(TEXT, data, "var", 1, 511, "", "folder of the embedded engine's files and of the editions")  \
    X(TEXT, scripts, "scripts", 1, 511, "", "folder of the handlers")                              \
    X(TEXT, tenants, "tenants", 1, 511, "", "folder of the tenants' rules")                        \
    X(FLAG, trust_tenant_header, "false", 0, 0, "",                                                \
        "whether X-Tenant-ID may choose the tenant; only behind a proxy that sets it")             \
    X(TEXT, trusted_proxies, "", 0, 511, "",                                                       \
        "addresses whose X-Forwarded-For and X-Forwarded-Proto count, with commas between them")   \
    X(FLAG, demo_keys, "false", 0, 0, "",                                                          \
        "whether the keys demo-owner-SLUG are accepted; never on a server that others reach")      \
    X(LEVEL, log_level, "info", 0, 0, "", "least level logged: debug, info, warn or error")        \
    X(NUMBER, request_ms, "10000", 10, 3600000, "ms", "longest time one request may take")         \
    X(NUMBER, hold_ms, "1000", 10, 60000, "ms",                                                    \
        "longest time a handler may compute without waiting; then it gets an error")               \
    X(NUMBER, stuck_ms, "5000", 200, 600000, "ms",                                                 \
        "silence after which the master kills a worker and starts another")                        \
    X(NUMBER, drain_ms, "10000", 0, 3600000, "ms",                                                 \
        "longest time requests in flight may take after SIGTERM")                                  \
    X(NUMBER, line_max_bytes, "8192", 256, 65536, "bytes", "longest request line; else 414")       \
    X(NUMBER, headers_max_bytes, "16384", 1024, 65536, "bytes", "most header bytes; else 431")     \
    X(NUMBER, fields_max, "100", 8, 1000, "fields", "most header fields; else 431")                \
    X(NUMBER, body_max_bytes, "1048576", 1024, 1073741824, "bytes", "largest body; else 413")      \
    X(NUMBER, head_ms, "10000", 10, 600000, "ms", "longest time a request's head may take; 408")   \
    X(NUMBER, body_rate_bytes, "1024", 1, 1073741824, "bytes/s",                                   \
        "slowest body accepted; else 408")                                                         \
    X(NUMBER, idle_ms, "60000", 10, 3600000, "ms", "longest time a connection may be idle")        \
    X(NUMBER, write_ms, "30000", 10, 3600000, "ms",                                                \
        "longest time a client may leave an answer unread")                                        \
    X(NUMBER, requests_max, "10000", 1, 1000000000, "requests", "most requests per connection")    \
    X(NUMBER, pipeline_max, "16", 1, 1024, "requests", "most requests waiting on one connection")  \
    X(NUMBER, connections_max, "0", 0, 10000000, "connections",                                    \
        "most connections per worker; 0 means 0.8 of the open-file limit less 64")                 \
    X(NUMBER, rule_ms, "10", 1, 1000, "ms",                                                        \
        "time one priced answer may spend in a tenant's rules")                                    \
    X(NUMBER, rule_instructions, "10000000", 1000, 1000000000, "instructions",                     \
        "instructions one priced answer may spend in a tenant's rules")                            \
    X(NUMBER, rule_memory_bytes, "4194304", 262144, 1073741824, "bytes",                           \
        "memory alive in one tenant's VM")                                                         \
    X(NUMBER, rule_allocated_bytes, "67108864", 1048576, 1073741824, "bytes",                      \
        "memory one priced answer may allocate in all")                                            \
    X(NUMBER, tenant_share_percent, "5", 1, 100, "%", "share of a worker that one tenant may use") \
    X(NUMBER, tenant_vms_max, "1000", 1, 100000, "VMs", "most tenant VMs open in one worker")      \
    X(NUMBER, trial_cpu_s, "5", 1, 600, "s", "processor time the trial of one edition may take")   \
    X(NUMBER, trial_memory_bytes, "268435456", 33554432, 8589934592, "bytes",                      \
        "address space the trial of editions may take beyond the master's")                        \
    X(NUMBER, sqlite_threads, "4", 1, 64, "threads", "reading threads per embedded database")      \
    X(NUMBER, sqlite_busy_ms, "2000", 1, 60000, "ms",                                              \
        "longest time to wait for another process's lock")                                         \
    X(SECRET, redis_url, "", 0, 511, "",                                                           \
        "where Redis is (redis:, rediss:, unix:, redis+cluster:, redis+sentinel:); empty: the "    \
        "embedded cache")                                                                          \
    X(SECRET, redis_read_url, "", 0, 511, "",                                                      \
        "replicas for reads that allow it; empty: the servers of redis_url")                       \
    X(NUMBER, redis_shared, "2", 1, 8, "connections", "pipelined connections per Redis node")      \
    X(NUMBER, redis_connect_ms, "1000", 10, 60000, "ms",                                           \
        "longest time to connect to Redis and to greet it")                                        \
    X(NUMBER, redis_command_ms, "1000", 10, 60000, "ms", "longest time a Redis command may take")  \
    X(NUMBER, redis_reply_max_bytes, "16777216", 65536, 1073741824, "bytes",                       \
        "memory that one answer of Redis may take")                                                \
    X(SECRET, mail_url, "", 0, 511, "",                                                            \
        "the mail server (smtp:, smtp+starttls:, smtps:); empty: letters wait in the queue")       \
    X(TEXT, mail_from, "", 0, 254, "", "the address that letters come from")                       \
    X(SECRET, postgres_url, "", 0, 1023, "",                                                       \
        "where PostgreSQL is (postgres://user:password@host,host/database?…); empty: the "       \
        "embedded "                                                                                \
        "ledger")                                                                                  \
    X(SECRET, postgres_read_url, "", 0, 1023, "",                                                  \
        "a replica for reads that allow it; empty: the server of postgres_url")                    \
    X(SECRET, postgres_listen_url, "", 0, 1023, "",                                                \
        "for notifications, past a pooler; empty: the server of postgres_url")                     \
    X(NUMBER, postgres_shared, "2", 1, 8, "connections", "pipelined connections to PostgreSQL")    \
    X(NUMBER, postgres_pool, "8", 1, 64, "connections",                                            \
        "most connections per worker for transactions, COPY and slow statements")                  \
    X(NUMBER, postgres_connect_ms, "2000", 10, 60000, "ms",                                        \
        "longest time to connect to PostgreSQL")                                                   \
    X(NUMBER, postgres_query_ms, "5000", 10, 3600000, "ms", "longest time a statement may take")   \
    X(NUMBER, postgres_result_max_bytes, "16777216", 65536, 1073741824, "bytes",                   \
        "memory that the results of one query may take, unless its rows are read as they come")    \
    X(RATE, rate_limit, "off", 0, 0, "",                                                           \
        "requests per tenant and route, e.g. 600/60s burst 100, where neither says otherwise")     \
    X(CHOICE, rate_limit_without_store, "open", 0, 0, "open|closed",                               \
        "without the cache role's store, let limited routes through, or answer 503")               \
    X(NUMBER, config_stale_s, "600", 0, 86400, "s",                                                \
        "longest time a tenant's last known settings serve while the stores cannot be reached")

#endif
