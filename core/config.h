/* config.h: the settings of a server: defaults, perigee.conf, environment, command line. */
#ifndef PERIGEE_CONFIG_H
#define PERIGEE_CONFIG_H
#include <stdio.h>
#include "base/bytes.h"
#include "base/log.h"
#include "config_keys.h"

#define CONFIG_TYPE_NUMBER(key) int64_t key
#define CONFIG_TYPE_FLAG(key) bool key
#define CONFIG_TYPE_TEXT(key) char key[512]
#define CONFIG_TYPE_LEVEL(key) log_level_t key
#define CONFIG_TYPE_SECRET(key) char key[512]
#define CONFIG_TYPE_CHOICE(key) char key[512]
#define CONFIG_TYPE_RATE(key) char key[512]

/* One field per key of config_keys.h, of type int64_t, bool, char[512] or log_level_t. Plain memory: copy it freely. */
typedef struct config {
#define X(KIND, key, ...) CONFIG_TYPE_##KIND(key);
    CONFIG_KEYS(X)
#undef X
} config_t;

/* Every function below that takes `why` fills it with a sentence that names the source and the key on an error. */

void config_default(config_t *config);
/* Sets one key from text. `source` begins the sentence: "perigee.conf:3", "PERIGEE_PORT", "--port".
   ERR_NOT_FOUND for a key that does not exist, ERR_INVALID or ERR_RANGE for a bad value. */
int config_set(
    config_t *config, span_t key, span_t value, const char *source, char *why, size_t size);
/* Reads lines `key = value`; '#' starts a comment line. ERR_NOT_FOUND when there is no such file, else as
   config_set. */
int config_read_file(config_t *config, const char *path, char *why, size_t size);
/* Takes PERIGEE_<KEY> for each key from the process's environment. ERR_INVALID or ERR_RANGE. Other variables that
   begin with PERIGEE_ are ignored: containers and tools put theirs there too. */
int config_read_environment(config_t *config, char *why, size_t size);
/* Defaults, then the file (`path`, or $PERIGEE_CONFIG, or perigee.conf if there is one), then the environment. */
int config_load(config_t *config, const char *path, char *why, size_t size);
/* Appends one key's value as text: false when there is no such key. A secret is "set", or nothing. */
bool config_print(const config_t *config, span_t key, buf_t *out);
/* One JSON object with every key, and back: how a worker gets its settings. It holds the secrets: for no log. */
void config_to_json(const config_t *config, buf_t *out);
int config_from_json(config_t *config, span_t json, char *why, size_t size);
/* The table of `perigee help config`. */
void config_help(FILE *out);

#endif
