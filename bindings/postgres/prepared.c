/* prepared.c: the statements that one connection has prepared, the least used forgotten first. */
#include "postgres/prepared.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "postgres/verb.h"

#define SQL_MAX 16384 /* a longer text is not one that comes again */

void postgres_statements_create(postgres_statements_t *all) {
    *all = (postgres_statements_t){0};
    map_create(&all->entries);
    list_init(&all->used);
    list_init(&all->doomed);
    buf_create(&all->key);
}

static void forget(postgres_statements_t *all, postgres_prepared_t *entry) {
    map_remove(&all->entries, entry->key);
    list_remove(&entry->node);
    free((char *)entry->key.ptr);
    entry->key = (span_t){NULL, 0};
}

static void free_list(list_t *list) {
    for (list_t *node; (node = list_shift(list));)
        free(LIST_OWNER(node, postgres_prepared_t, node));
}

void postgres_statements_clear(postgres_statements_t *all) {
    while (!list_empty(&all->used)) {
        postgres_prepared_t *entry = LIST_OWNER(all->used.next, postgres_prepared_t, node);
        forget(all, entry);
        free(entry);
    }
    free_list(&all->doomed);
}

void postgres_statements_destroy(postgres_statements_t *all) {
    postgres_statements_clear(all);
    map_destroy(&all->entries);
    buf_destroy(&all->key);
}

void postgres_statements_drop(
    postgres_statements_t *all, postgres_prepared_t *entry, bool on_server) {
    forget(all, entry);
    if (on_server)
        list_push(&all->doomed, &entry->node);
    else
        free(entry);
}

postgres_prepared_t *postgres_statements_by_number(
    const postgres_statements_t *all, uint64_t number) {
    for (const list_t *node = all->used.next; node != &all->used; node = node->next) {
        postgres_prepared_t *entry = LIST_OWNER(node, postgres_prepared_t, node);
        if (entry->number == number) return entry;
    }
    return NULL;
}

bool postgres_statements_doomed(postgres_statements_t *all, uint64_t *number) {
    list_t *node = list_shift(&all->doomed);
    if (!node) return false;
    postgres_prepared_t *entry = LIST_OWNER(node, postgres_prepared_t, node);
    *number = entry->number;
    free(entry);
    return true;
}

/* False: all of them are on their way. */
static bool make_room(postgres_statements_t *all) {
    if (all->entries.count < POSTGRES_PREPARED_MAX) return true;
    for (list_t *node = all->used.next; node != &all->used; node = node->next) {
        postgres_prepared_t *entry = LIST_OWNER(node, postgres_prepared_t, node);
        if (entry->state == PREPARED_SENT) continue;
        postgres_statements_drop(all, entry, entry->state == PREPARED_READY);
        return true;
    }
    return false;
}

/* The same text with other types is another statement. */
static span_t key_of(postgres_statements_t *all, const postgres_statement_t *statement) {
    buf_reset(&all->key);
    buf_text(&all->key, statement->sql);
    for (int i = 0; i < statement->count; i++) {
        buf_char(&all->key, '\0');
        buf_put(&all->key, &statement->params[i].type, sizeof statement->params[i].type);
    }
    return buf_view(&all->key);
}

static postgres_prepared_t *add(postgres_statements_t *all, span_t key) {
    if (!make_room(all)) return NULL;
    postgres_prepared_t *entry = calloc(1, sizeof *entry);
    char *copy = malloc(key.len);
    if (copy) memcpy(copy, key.ptr, key.len);
    if (!entry || !copy || map_set(&all->entries, key, entry, NULL) != 0) {
        free(entry);
        free(copy);
        return NULL;
    }
    entry->number = ++all->count;
    postgres_prepared_name(entry->number, entry->name);
    entry->key = (span_t){copy, key.len};
    list_init(&entry->node);
    list_push(&all->used, &entry->node);
    return entry;
}

/* A batch often has one statement many times over. */
static postgres_prepared_t *look_up(const postgres_statements_t *all, span_t key) {
    if (list_empty(&all->used)) return NULL;
    postgres_prepared_t *last = LIST_OWNER(all->used.prev, postgres_prepared_t, node);
    return span_eq(last->key, key) ? last : map_get(&all->entries, key);
}

postgres_prepared_t *postgres_statements_find(
    postgres_statements_t *all, const postgres_statement_t *statement) {
    span_t key = key_of(all, statement);
    if (all->key.failed || key.len > SQL_MAX) return NULL;
    postgres_prepared_t *entry = look_up(all, key);
    if (!entry) return postgres_verb_prepares(statement->sql) ? add(all, key) : NULL;
    list_remove(&entry->node);
    list_push(&all->used, &entry->node);
    return entry;
}

void postgres_prepared_name(uint64_t number, char *out) {
    snprintf(out, POSTGRES_PREPARED_NAME_MAX, "p%" PRIu64, number);
}
