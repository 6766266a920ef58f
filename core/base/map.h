/* map.h: a hash map from byte strings to pointers, hashed with a secret seed because clients choose the keys. */
#ifndef PERIGEE_BASE_MAP_H
#define PERIGEE_BASE_MAP_H
#include "base/bytes.h"

typedef struct map_slot map_slot_t;
typedef struct map {
    map_slot_t *slots;
    size_t count, cap; /* cap is a power of two or 0 */
} map_t;

void map_create(map_t *map);
/* Frees the map and its copies of the keys, not the values. */
void map_destroy(map_t *map);
/* The value, or NULL. */
void *map_get(const map_t *map, span_t key);
/* Copies the key; value is not NULL. Replaces and returns in *old (may be NULL) what was there. 0 or ERR_NO_MEMORY. */
int map_set(map_t *map, span_t key, void *value, void **old);
/* Returns the value that was there, or NULL. */
void *map_remove(map_t *map, span_t key);
/* Walks the map: start with *at = 0; false at the end. The map must not change in between. */
bool map_next(const map_t *map, size_t *at, span_t *key, void **value);
/* SipHash-2-4 under the process's secret. */
uint64_t map_hash(span_t key);

#endif
