/* place.h: where in a nested value something is wrong, as a script would write it: ".items[3].price". */
#ifndef PERIGEE_LUA_PLACE_H
#define PERIGEE_LUA_PLACE_H
#include <stdio.h>
#include "base/bytes.h"

/* Built from the inside out; what does not fit is cut off at its end. */
typedef struct place {
    char text[96];
} place_t;

static inline void place_in_name(place_t *place, span_t name) {
    char text[sizeof place->text];
    int len = name.len < 40 ? (int)name.len : 40;
    snprintf(text, sizeof text, ".%.*s%.54s", len, name.ptr, place->text);
    memcpy(place->text, text, sizeof text);
}

static inline void place_in_index(place_t *place, size_t index) {
    char text[sizeof place->text];
    snprintf(text, sizeof text, "[%zu]%.70s", index, place->text);
    memcpy(place->text, text, sizeof text);
}

/* "what at place" into why. */
static inline void place_tell(const place_t *place, const char *what, char *why, size_t size) {
    snprintf(why, size, "%s%s%s", what, place->text[0] != '\0' ? " at " : "", place->text);
}

#endif
