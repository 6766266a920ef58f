/* services.c: opens the engines that a process's scripts share. */
#include "services.h"
#include "base/err.h"
#include "tail.h"
#include "http/client.h"
#include "postgres/postgres.h"
#include "http/mailer.h"
#include "redis/redis_cache.h"
#include "sqlite/sqlite_cache.h"
#include <stdio.h>

static tenants_t *open_tenants(services_t *services) {
    const config_t *config = &services->config;
    tenants_options_t options;
    tenants_options_default(&options, services->loop);
    options.limits.time_ms = (uint64_t)config->rule_ms;
    options.limits.instructions = (uint64_t)config->rule_instructions;
    options.limits.memory = (size_t)config->rule_memory_bytes;
    options.limits.allocated = (uint64_t)config->rule_allocated_bytes;
    options.vms_max = (size_t)config->tenant_vms_max;
    options.share_percent = (unsigned)config->tenant_share_percent;
    options.tail = tail_write;
    return tenants_new(&options);
}

/* Nothing waits for the server here; a URL that cannot be read is a fault of the settings. */
static int open_cache(services_t *services, char *why, size_t size) {
    const config_t *config = &services->config;
    redis_options_t options = {.url = config->redis_url,
        .read_url = config->redis_read_url[0] ? config->redis_read_url : NULL,
        .shared = (int)config->redis_shared,
        .connect_ms = (uint64_t)config->redis_connect_ms,
        .command_ms = (uint64_t)config->redis_command_ms,
        .reply_max = (size_t)config->redis_reply_max_bytes};
    char cause[200] = "out of memory";
    services->cache = sqlite_cache_ops(services->sqlite);
    if (!config->redis_url[0]) return 0;
    services->redis = redis_new(services->loop, &options, cause, sizeof cause);
    if (services->redis) {
        services->cache = redis_cache_ops(services->redis);
        return 0;
    }
    snprintf(why, size, "redis_url: %s", cause);
    return ERR_INVALID;
}

static int open_mailer(services_t *services, char *why, size_t size) {
    const char *url = services->config.mail_url;
    mail_server_t server;
    char cause[200];
    if (!url[0]) return 0;
    if (mail_server_read(&server, url, cause, sizeof cause) != 0)
        return err_why(ERR_INVALID, why, size, "mail_url: %s", cause);
    if (!services->config.mail_from[0])
        return err_why(
            ERR_INVALID, why, size, "mail_url needs mail_from, the address that letters come from");
    services->mailer = mailer_new(services->loop, &server);
    return services->mailer ? 0 : err_why(ERR_NO_MEMORY, why, size, "out of memory");
}

static const char *or_null(const char *text) {
    return text[0] ? text : NULL;
}

static int open_database(services_t *services, char *why, size_t size) {
    const config_t *config = &services->config;
    postgres_options_t options = {.url = config->postgres_url,
        .read_url = or_null(config->postgres_read_url),
        .listen_url = or_null(config->postgres_listen_url),
        .shared = (int)config->postgres_shared,
        .pool_max = (int)config->postgres_pool,
        .connect_ms = (uint64_t)config->postgres_connect_ms,
        .query_ms = (uint64_t)config->postgres_query_ms,
        .result_max = (size_t)config->postgres_result_max_bytes};
    char cause[200] = "out of memory";
    if (!config->postgres_url[0]) return 0;
    services->postgres = postgres_new(services->loop, &options, cause, sizeof cause);
    if (services->postgres) return 0;
    return err_why(ERR_INVALID, why, size, "postgres_url: %s", cause);
}

void services_roles(const services_t *services, role_state_t roles[SERVICES_ROLES]) {
    const redis_t *redis = services->redis;
    const postgres_t *postgres = services->postgres;
    roles[0] = (role_state_t){"documents", "embedded", true};
    roles[1] = (role_state_t){"cache", redis ? "redis" : "embedded", !redis || redis_up(redis)};
    roles[2] = (role_state_t){"search", "embedded", true};
    roles[3] = (role_state_t){
        "ledger", postgres ? "postgres" : "embedded", !postgres || postgres_up(postgres)};
}

int services_create(
    services_t *services, loop_t *loop, const config_t *config, char *why, size_t size) {
    memset(services, 0, sizeof *services);
    services->loop = loop;
    list_init(&services->detached);
    changes_create(&services->changes);
    services->config = *config;
    client_options_t client_options = {.loop = loop};
    sqlite_options_t options = {.data_dir = services->config.data,
        .readers = (int)config->sqlite_threads,
        .busy_ms = (uint64_t)config->sqlite_busy_ms};
    services->sqlite = sqlite_new(loop, &options);
    services->http = client_new(&client_options);
    services->tenants = open_tenants(services);
    if (!services->sqlite || !services->http || !services->tenants)
        return err_why(ERR_NO_MEMORY, why, size, "out of memory");
    /* The database first: it changes the environment, which threads that look names up would read meanwhile. */
    int err = open_database(services, why, size);
    if (!err) err = open_mailer(services, why, size);
    return err ? err : open_cache(services, why, size);
}

void services_destroy(services_t *services) {
    changes_destroy(&services->changes);
    if (services->tenants) tenants_delete(services->tenants);
}
