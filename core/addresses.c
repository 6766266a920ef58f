/* addresses.c: reads the URLs of the settings by their engines' own rules, and forgets what they say. */
#include "addresses.h"
#include "base/err.h"
#include "http/mail_server.h"
#include "postgres/url.h"
#include "redis/url.h"

typedef int check_fn(const char *text, char *why, size_t size);

static int redis(const char *text, char *why, size_t size) {
    redis_url_t url;
    int err = redis_url_parse(span_of(text), &url, why, size);
    if (err == 0) redis_url_wipe(&url);
    return err;
}

static int postgres(const char *text, char *why, size_t size) {
    postgres_url_t url;
    int err = postgres_url_parse(span_of(text), &url, why, size);
    if (err == 0) postgres_url_wipe(&url);
    return err;
}

static int mail(const char *text, char *why, size_t size) {
    mail_server_t server;
    return mail_server_read(&server, text, why, size);
}

int addresses_check(const config_t *config, char *why, size_t size) {
    const struct {
        const char *name, *text;
        check_fn *check;
    } settings[] = {{"redis_url", config->redis_url, redis},
        {"redis_read_url", config->redis_read_url, redis},
        {"postgres_url", config->postgres_url, postgres},
        {"postgres_read_url", config->postgres_read_url, postgres},
        {"postgres_listen_url", config->postgres_listen_url, postgres},
        {"mail_url", config->mail_url, mail}};
    char cause[200];
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (!settings[i].text[0]) continue;
        if (settings[i].check(settings[i].text, cause, sizeof cause) != 0)
            return err_why(ERR_INVALID, why, size, "%s: %s", settings[i].name, cause);
    }
    return 0;
}
