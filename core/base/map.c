/* map.c: open addressing with linear probing; removal shifts back, so there are no tombstones. */
#include "base/map.h"
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include "base/err.h"

struct map_slot {
    uint64_t hash;
    char *key; /* NULL when the slot is free */
    size_t len;
    void *value;
};

static unsigned char secret[crypto_shorthash_siphash24_KEYBYTES];
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

static void draw_secret(void) {
    randombytes_buf(secret, sizeof secret);
}

uint64_t map_hash(span_t key) {
    pthread_once(&secret_once, draw_secret);
    uint64_t hash;
    crypto_shorthash_siphash24(
        (unsigned char *)&hash, (const unsigned char *)(key.len ? key.ptr : ""), key.len, secret);
    return hash;
}

void map_create(map_t *map) {
    *map = (map_t){0};
}

void map_destroy(map_t *map) {
    for (size_t i = 0; i < map->cap; i++)
        free(map->slots[i].key);
    free(map->slots);
    map_create(map);
}

/* The slot that holds the key, or the free one where it would go. The map has at least one free slot. */
static map_slot_t *find(const map_t *map, uint64_t hash, span_t key) {
    for (size_t at = hash;; at++) {
        map_slot_t *slot = &map->slots[at & (map->cap - 1)];
        if (!slot->key) return slot;
        if (slot->hash == hash && span_eq((span_t){slot->key, slot->len}, key)) return slot;
    }
}

void *map_get(const map_t *map, span_t key) {
    if (!map->count) return NULL;
    map_slot_t *slot = find(map, map_hash(key), key);
    return slot->key ? slot->value : NULL;
}

static int grow(map_t *map) {
    map_t bigger = {NULL, map->count, map->cap ? map->cap * 2 : 8};
    bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots) return ERR_NO_MEMORY;
    for (size_t i = 0; i < map->cap; i++) {
        map_slot_t *slot = &map->slots[i];
        if (slot->key) *find(&bigger, slot->hash, (span_t){slot->key, slot->len}) = *slot;
    }
    free(map->slots);
    *map = bigger;
    return 0;
}

int map_set(map_t *map, span_t key, void *value, void **old) {
    if (old) *old = NULL;
    if (map->count + 1 > map->cap / 4 * 3 && grow(map) != 0) return ERR_NO_MEMORY;
    uint64_t hash = map_hash(key);
    map_slot_t *slot = find(map, hash, key);
    if (slot->key) {
        if (old) *old = slot->value;
        slot->value = value;
        return 0;
    }
    char *copy = malloc(key.len + 1);
    if (!copy) return ERR_NO_MEMORY;
    if (key.len) memcpy(copy, key.ptr, key.len);
    copy[key.len] = '\0';
    *slot = (map_slot_t){hash, copy, key.len, value};
    map->count++;
    return 0;
}

/* Moves back every later slot of the run that may stand in the gap. */
static void close_gap(map_t *map, size_t gap) {
    size_t mask = map->cap - 1;
    for (size_t at = (gap + 1) & mask; map->slots[at].key; at = (at + 1) & mask) {
        size_t home = map->slots[at].hash & mask;
        if (((at - home) & mask) < ((at - gap) & mask)) continue;
        map->slots[gap] = map->slots[at];
        gap = at;
    }
    map->slots[gap] = (map_slot_t){0};
}

void *map_remove(map_t *map, span_t key) {
    if (!map->count) return NULL;
    map_slot_t *slot = find(map, map_hash(key), key);
    if (!slot->key) return NULL;
    void *value = slot->value;
    free(slot->key);
    map->count--;
    close_gap(map, (size_t)(slot - map->slots));
    return value;
}

bool map_next(const map_t *map, size_t *at, span_t *key, void **value) {
    while (*at < map->cap) {
        map_slot_t *slot = &map->slots[(*at)++];
        if (!slot->key) continue;
        if (key) *key = (span_t){slot->key, slot->len};
        if (value) *value = slot->value;
        return true;
    }
    return false;
}
