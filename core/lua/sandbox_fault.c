/* sandbox_fault.c: turns what a script raised into an error with a name, a file, a line and a plain sentence,
   without running any of its code. */
#include "lua/sandbox_own.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* Copies at most size - 1 bytes, without control characters and without half a UTF-8 character at the end. */
static void copy(char *out, size_t size, const char *text, size_t len) {
    if (len > size - 1) {
        len = size - 1;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)text[i] < 32 || text[i] == 127 ? ' ' : text[i];
    out[len] = 0;
}

void sandbox_fault_set(sandbox_fault_t *fault, int err, const char *file, const char *text) {
    fault->err = err;
    fault->line = 0;
    copy(fault->file, sizeof fault->file, file, strlen(file));
    copy(fault->text, sizeof fault->text, text, strlen(text));
}

/* Splits "pricing.lua:12: text": where the text begins; file and line are set when they are there. */
static const char *split(const char *text, sandbox_fault_t *fault) {
    for (const char *at = text; (at = strchr(at, ':')); at++) {
        char *end;
        if (at == text || !isdigit((unsigned char)at[1])) continue;
        long line = strtol(at + 1, &end, 10);
        if (end[0] != ':' || end[1] != ' ' || line > 1000000) continue;
        copy(fault->file, sizeof fault->file, text, (size_t)(at - text));
        fault->line = (int)line;
        return end + 2;
    }
    return text;
}

static int name_of(sandbox_t *sandbox, const char *text) {
    if (sandbox->named && strncmp(text, sandbox->named_text, sizeof sandbox->named_text - 1) == 0)
        return sandbox->named;
    return strstr(text, "stack overflow") ? ERR_BUDGET_DEPTH : ERR_RULE_ERROR;
}

void sandbox_fault_text(sandbox_t *sandbox, const char *text, sandbox_fault_t *fault) {
    sandbox_fault_set(fault, name_of(sandbox, text), "", "");
    const char *rest = split(text, fault);
    if (!*rest) rest = err_text(fault->err);
    copy(fault->text, sizeof fault->text, rest, strlen(rest));
}

void sandbox_fault_budget(const budget_t *budget, sandbox_fault_t *fault) {
    sandbox_fault_set(fault, budget->err, budget->file, err_text(budget->err));
    fault->line = budget->line;
}

/* The value may be anything, and nothing here may allocate: only a text is read. */
static void value_fault(sandbox_t *sandbox, lua_State *L, sandbox_fault_t *fault) {
    char text[120];
    if (lua_type(L, -1) == LUA_TSTRING) {
        sandbox_fault_text(sandbox, lua_tostring(L, -1), fault);
        return;
    }
    if (lua_type(L, -1) == LUA_TNUMBER)
        snprintf(text, sizeof text, "the script raised the number %.14g", lua_tonumber(L, -1));
    else
        snprintf(text, sizeof text, "the script raised a value of type %s instead of a text",
            luaL_typename(L, -1));
    sandbox_fault_set(fault, ERR_RULE_ERROR, "", text);
}

void sandbox_fault_of(sandbox_t *sandbox, lua_State *L, int status, sandbox_fault_t *fault) {
    const budget_t *budget = sandbox->budget;
    if (budget && budget->err)
        sandbox_fault_budget(budget, fault);
    else if (status == LUA_ERRMEM)
        sandbox_fault_set(fault, ERR_BUDGET_MEMORY, "", err_text(ERR_BUDGET_MEMORY));
    else
        value_fault(sandbox, L, fault);
}
