/* rules.c: an edition's four rules in a sandbox of their own. */
#include "tenant/rules.h"
#include "base/err.h"
#include <stdio.h>
#include <stdlib.h>

/* Behind "--" at the start of text: the length of the rest of the comment. */
static size_t comment_length(span_t text) {
    size_t level = 0;
    if (text.len && text.ptr[0] == '[') {
        while (1 + level < text.len && text.ptr[1 + level] == '=')
            level++;
        if (1 + level < text.len && text.ptr[1 + level] == '[') {
            for (size_t i = 2 + level; i + level + 1 < text.len; i++) {
                size_t equals = 0;
                while (equals < level && text.ptr[i] == ']' && text.ptr[i + 1 + equals] == '=')
                    equals++;
                if (text.ptr[i] == ']' && equals == level && text.ptr[i + 1 + level] == ']')
                    return i + level + 2;
            }
            return text.len;
        }
    }
    const char *end = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
    return end ? (size_t)(end - text.ptr) : text.len;
}

bool rule_blank(span_t text) {
    while (text.len) {
        size_t skip = 1;
        if (text.len > 1 && text.ptr[0] == '-' && text.ptr[1] == '-')
            skip = 2 + comment_length((span_t){text.ptr + 2, text.len - 2});
        else if (!strchr(" \t\r\n\f\v", text.ptr[0]) || !text.ptr[0])
            return false;
        text.ptr += skip;
        text.len -= skip;
    }
    return true;
}

static int load(rules_t *rules, sandbox_fault_t *fault) {
    for (int kind = 0; kind < STAGES; kind++) {
        span_t text = rules->edition->text[kind];
        rules->refs[kind] = LUA_NOREF;
        /* A default without a rule is skipped. A merchant's own empty file is not: it may be half a save. */
        if (!rules->edition->own[kind] && rule_blank(text)) continue;
        int err =
            sandbox_load(rules->sandbox, text, rule_kind_file(kind), &rules->refs[kind], fault);
        if (err) return err;
    }
    return 0;
}

static int fail(sandbox_fault_t *fault, int err, const char *text) {
    *fault = (sandbox_fault_t){.err = err};
    snprintf(fault->text, sizeof(fault->text), "%.200s", text);
    return err;
}

int rules_open(edition_t *edition, loop_t *loop, const sandbox_limits_t *limits,
    void (*tail)(void *data, span_t line), void *data, rules_t **out, sandbox_fault_t *fault) {
    char error[240];
    rules_t *rules = calloc(1, sizeof(rules_t));
    if (!rules) return fail(fault, ERR_NO_MEMORY, "out of memory");
    rules->edition = edition_ref(edition);
    rules->sandbox = sandbox_new(loop, limits, tail, data);
    int err = ERR_NO_MEMORY;
    if (!rules->sandbox)
        fail(fault, err, "out of memory");
    else if (marshal_open(&rules->marshal, sandbox_vm(rules->sandbox), error, sizeof(error)))
        fail(fault, err, error);
    else
        err = load(rules, fault);
    if (err) {
        rules_close(rules);
        return err;
    }
    *out = rules;
    return 0;
}

void rules_close(rules_t *rules) {
    if (!rules) return;
    if (rules->sandbox) sandbox_delete(rules->sandbox);
    edition_unref(rules->edition);
    free(rules);
}

bool rules_spent(const rules_t *rules) {
    return sandbox_spent(rules->sandbox);
}
edition_t *rules_edition(const rules_t *rules) {
    return rules->edition;
}
sandbox_t *rules_sandbox(const rules_t *rules) {
    return rules->sandbox;
}

void rules_observe(
    rules_t *rules, void (*observe)(void *data, rule_kind_t stage, lua_State *L), void *data) {
    rules->observe = observe;
    rules->observer = data;
}
