/* verb.c: what kind of statement a text is, by its first word: the server takes one statement per text, so that the
   first word tells; and by the functions it calls. */
#include "postgres/verb.h"
#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include "postgres/comment.h"
#include "postgres/residue.h"

typedef struct verb {
    const char *name;
    postgres_nature_t nature;
    bool prepares;
} verb_t;

static const verb_t VERBS[] = {
    {"select", POSTGRES_PLAIN, true},
    {"insert", POSTGRES_PLAIN, true},
    {"update", POSTGRES_PLAIN, true},
    {"delete", POSTGRES_PLAIN, true},
    {"with", POSTGRES_PLAIN, true},
    {"values", POSTGRES_PLAIN, true},
    {"merge", POSTGRES_PLAIN, true},
    {"begin", POSTGRES_BEGIN, false},
    {"start", POSTGRES_BEGIN, false},
    {"commit", POSTGRES_TRANSACTION, false},
    {"end", POSTGRES_TRANSACTION, false},
    {"rollback", POSTGRES_TRANSACTION, false},
    {"abort", POSTGRES_TRANSACTION, false},
    {"savepoint", POSTGRES_TRANSACTION, false},
    {"release", POSTGRES_TRANSACTION, false},
    {"set", POSTGRES_SESSION, false},
    {"reset", POSTGRES_SESSION, false},
    {"declare", POSTGRES_SESSION, false},
    {"fetch", POSTGRES_TRANSACTION, false},
    {"move", POSTGRES_TRANSACTION, false},
    {"close", POSTGRES_TRANSACTION, false},
    {"lock", POSTGRES_TRANSACTION, false},
    {"load", POSTGRES_SESSION, false},
    {"create", POSTGRES_PLAIN, false},
    {"copy", POSTGRES_DRIVERS, false},
    {"listen", POSTGRES_DRIVERS, false},
    {"unlisten", POSTGRES_DRIVERS, false},
    {"prepare", POSTGRES_DRIVERS, false},
    {"execute", POSTGRES_DRIVERS, false},
    {"deallocate", POSTGRES_DRIVERS, false},
    {"discard", POSTGRES_DRIVERS, false},
};

static const char *first_word(const char *sql) {
    for (;;) {
        sql += strspn(sql, " \t\r\n\f\v(;");
        if (strncmp(sql, "--", 2) != 0 && strncmp(sql, "/*", 2) != 0) return sql;
        sql = postgres_after_comment(sql);
    }
}

static size_t length_of(const char *word) {
    size_t len = 0;
    while (isalpha((unsigned char)word[len]))
        len++;
    return len;
}

static bool is_word(const char *at, const char *word) {
    return length_of(at) == strlen(word) && strncasecmp(at, word, strlen(word)) == 0;
}

static const verb_t *find(const char *sql) {
    const char *word = first_word(sql);
    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++)
        if (is_word(word, VERBS[i].name)) return &VERBS[i];
    return NULL;
}

static bool is_one_of(const char *at, const char *const *words) {
    for (; *words; words++)
        if (is_word(at, *words)) return true;
    return false;
}

/* SET LOCAL ends with its transaction; a temporary table stays as long as its connection. */
static postgres_nature_t by_second_word(const char *sql, postgres_nature_t nature) {
    static const char *const LOCAL[] = {"local", "transaction", "constraints", NULL};
    static const char *const TEMPORARY[] = {"temp", "temporary", NULL};
    static const char *const BEFORE[] = {"or", "replace", "local", "global", "recursive", NULL};
    const char *first = first_word(sql), *second = first_word(first + length_of(first));
    while (is_word(first, "create") && is_one_of(second, BEFORE))
        second = first_word(second + length_of(second));
    if (is_word(first, "set") && is_one_of(second, LOCAL)) return POSTGRES_TRANSACTION;
    if (is_word(first, "create") && is_one_of(second, TEMPORARY)) return POSTGRES_SESSION;
    return nature;
}

postgres_nature_t postgres_verb_nature(const char *sql) {
    const verb_t *verb = find(sql);
    if (!verb || verb->prepares)
        return postgres_leaves_residue(sql) ? POSTGRES_SESSION : POSTGRES_PLAIN;
    return by_second_word(sql, verb->nature);
}

bool postgres_verb_is(const char *sql, const char *word) {
    return is_word(first_word(sql), word);
}

bool postgres_verb_prepares(const char *sql) {
    const verb_t *verb = find(sql);
    return verb && verb->prepares;
}
