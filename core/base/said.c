/* said.c: whether a complaint is news, or was said last or just now. */
#include "base/said.h"
#include <stdio.h>
#include <string.h>

#define QUIET_MS 10000

bool said_is_news(said_t *said, const char *text, uint64_t now_ms) {
    bool same = strncmp(said->text, text, sizeof said->text - 1) == 0;
    if (said->text[0] && (same || now_ms - said->at_ms < QUIET_MS)) return false;
    snprintf(said->text, sizeof said->text, "%s", text);
    said->at_ms = now_ms;
    return true;
}

void said_forget(said_t *said) {
    said->text[0] = '\0';
}
