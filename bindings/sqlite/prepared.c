/* prepared.c: a map from SQL text to prepared statements with a bound, evicting the least recently used. */
#include "sqlite/prepared.h"
#include <stdlib.h>

typedef struct entry {
    list_t node;
    sqlite3_stmt *stmt;
} entry_t;

void prepared_create(prepared_t *prepared) {
    map_create(&prepared->by_sql);
    list_init(&prepared->used);
    prepared->count = 0;
}

static void drop(prepared_t *prepared, entry_t *entry) {
    list_remove(&entry->node);
    prepared->count--;
    sqlite3_finalize(entry->stmt);
    free(entry);
}

void prepared_destroy(prepared_t *prepared) {
    while (!list_empty(&prepared->used))
        drop(prepared, LIST_OWNER(prepared->used.next, entry_t, node));
    map_destroy(&prepared->by_sql);
}

static void evict(prepared_t *prepared) {
    entry_t *entry = LIST_OWNER(prepared->used.next, entry_t, node);
    const char *sql = sqlite3_sql(entry->stmt);
    map_remove(&prepared->by_sql, span_of(sql));
    drop(prepared, entry);
}

/* Whether nothing but spaces and semicolons follows the first statement. */
static bool ends(const char *tail, const char *end) {
    while (tail < end && (*tail == ';' || *tail == ' ' || *tail == '\n' || *tail == '\t'))
        tail++;
    return tail == end;
}

static int prepare(sqlite3 *db, span_t sql, sqlite3_stmt **out) {
    const char *tail = sql.ptr;
    int rc = sqlite3_prepare_v3(db, sql.ptr, (int)sql.len, SQLITE_PREPARE_PERSISTENT, out, &tail);
    if (rc != SQLITE_OK) return rc;
    if (*out && ends(tail, sql.ptr + sql.len)) return SQLITE_OK;
    sqlite3_finalize(*out);
    *out = NULL;
    return SQLITE_MISUSE;
}

static int add(prepared_t *prepared, sqlite3_stmt *stmt) {
    entry_t *entry = malloc(sizeof *entry);
    if (!entry) return SQLITE_NOMEM;
    entry->stmt = stmt;
    if (map_set(&prepared->by_sql, span_of(sqlite3_sql(stmt)), entry, NULL)) {
        free(entry);
        return SQLITE_NOMEM;
    }
    list_push(&prepared->used, &entry->node);
    prepared->count++;
    return SQLITE_OK;
}

int prepared_get(prepared_t *prepared, sqlite3 *db, span_t sql, sqlite3_stmt **out) {
    entry_t *entry = map_get(&prepared->by_sql, sql);
    *out = NULL;
    if (entry) {
        list_remove(&entry->node);
        list_push(&prepared->used, &entry->node);
        *out = entry->stmt;
        return SQLITE_OK;
    }
    int rc = prepare(db, sql, out);
    if (rc != SQLITE_OK) return rc;
    if (prepared->count >= PREPARED_MOST) evict(prepared);
    rc = add(prepared, *out);
    if (rc != SQLITE_OK) {
        sqlite3_finalize(*out);
        *out = NULL;
    }
    return rc;
}
