/* seen.h: which sources a watch or a sweep has named. */
#ifndef PERIGEE_TEST_SEEN_H
#define PERIGEE_TEST_SEEN_H
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef struct seen {
    char text[1024]; /* ",scripts,tenants/acme," */
} seen_t;

static inline void seen_clear(seen_t *seen) {
    strcpy(seen->text, ",");
}

static inline bool seen_has(const seen_t *seen, const char *source) {
    char word[100];
    snprintf(word, sizeof(word), ",%s,", source);
    return strstr(seen->text, word) != NULL;
}

static inline bool seen_nothing(const seen_t *seen) {
    return strcmp(seen->text, ",") == 0;
}

/* A source_cb; each source is noted once, everything as "*". */
static inline void seen_note(void *data, const char *source) {
    seen_t *seen = data;
    if (!source) source = "*";
    if (seen_has(seen, source)) return;
    size_t len = strlen(seen->text);
    snprintf(seen->text + len, sizeof(seen->text) - len, "%s,", source);
}

#endif
