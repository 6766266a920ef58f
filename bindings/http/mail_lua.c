/* mail_lua.c: the module mail.native: send, which waits until the mail server has taken a letter. */
#include "http/mail_lua.h"
#include <stdlib.h>
#include "base/arena.h"
#include "base/err.h"
#include "lua/await.h"
#include "lua/native.h"

#define TIMEOUT_MS 20000
#define TIMEOUT_MOST_MS 120000

typedef struct op {
    await_t await;
    letter_t letter;
    arena_t arena; /* copies of the script's strings, which may be collected meanwhile */
} op_t;

static op_t *op_of(await_t *await) {
    return LIST_OWNER(await, op_t, await);
}

static void on_done(letter_t *letter) {
    op_t *op = LIST_OWNER(letter, op_t, letter);
    if (letter->err)
        await_fail(&op->await, letter->err, letter->detail);
    else
        await_finish(&op->await);
}

static int push_true(await_t *await, lua_State *L) {
    (void)await;
    lua_pushboolean(L, true);
    return 1;
}

static void cancel(await_t *await) {
    mailer_cancel(&op_of(await)->letter);
}

static void release(await_t *await) {
    op_t *op = op_of(await);
    arena_destroy(&op->arena);
    free(op);
}

static const await_ops_t SEND = {push_true, cancel, release, "mail.send"};

/* The fields of a letter, where they stand on the stack, and the type that each must have. */
typedef enum { LETTER, ID, FROM, NAME, REPLY_TO, TO, SUBJECT, TEXT, TIMEOUT, FIELDS } field_t;
static const struct {
    const char *name;
    int type;
    bool needed;
} fields[FIELDS] = {{"", LUA_TTABLE, true}, {"id", LUA_TSTRING, true}, {"from", LUA_TSTRING, true},
    {"name", LUA_TSTRING, false}, {"reply_to", LUA_TSTRING, false}, {"to", LUA_TTABLE, true},
    {"subject", LUA_TSTRING, true}, {"text", LUA_TSTRING, true},
    {"timeout_ms", LUA_TNUMBER, false}};

/* Raises for what is the script's mistake, before anything is acquired. The letter is argument 1. */
static void open_letter(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    for (int i = ID; i < FIELDS; i++) {
        lua_getfield(L, 1, fields[i].name);
        int type = lua_type(L, -1);
        if (type != fields[i].type && (fields[i].needed || type != LUA_TNIL))
            luaL_error(L, "mail: %s is missing, or no %s", fields[i].name,
                lua_typename(L, fields[i].type));
    }
    double timeout = lua_isnil(L, 1 + TIMEOUT) ? 1 : lua_tonumber(L, 1 + TIMEOUT);
    if (!(timeout >= 1 && timeout <= TIMEOUT_MOST_MS))
        luaL_error(L, "mail: timeout_ms must be from 1 to %d", TIMEOUT_MOST_MS);
    if (lua_objlen(L, 1 + TO) > MAIL_TO_MAX) luaL_error(L, "mail: too many recipients");
    for (int i = 1; i <= (int)lua_objlen(L, 1 + TO); i++) {
        lua_rawgeti(L, 1 + TO, i);
        if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "mail: to is no list of texts");
        lua_pop(L, 1);
    }
}

/* NULL for nil, and when out of memory. A NUL inside would hide the rest from the checks: it becomes a control
   character that they refuse. */
static char *copy_text(op_t *op, lua_State *L, int index) {
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    char *copy = text ? arena_dup(&op->arena, text, len) : NULL;
    for (size_t i = 0; copy && i < len; i++)
        if (!copy[i]) copy[i] = '\x01';
    return copy;
}

static int pack_recipients(op_t *op, lua_State *L) {
    mail_t *mail = &op->letter.mail;
    mail->nto = lua_objlen(L, 1 + TO);
    const char **list = arena_alloc(&op->arena, (mail->nto + 1) * sizeof *list);
    mail->to = list;
    if (!list) return ERR_NO_MEMORY;
    for (size_t i = 0; i < mail->nto; i++) {
        lua_rawgeti(L, 1 + TO, (int)i + 1);
        list[i] = copy_text(op, L, -1);
        lua_pop(L, 1);
        if (!list[i]) return ERR_NO_MEMORY;
    }
    return 0;
}

/* Raises nothing. */
static int pack(op_t *op, lua_State *L) {
    mail_t *mail = &op->letter.mail;
    const struct {
        field_t field;
        const char **to;
    } texts[] = {{ID, &mail->id}, {FROM, &mail->from}, {NAME, &mail->name},
        {REPLY_TO, &mail->reply_to}, {SUBJECT, &mail->subject}, {TEXT, &mail->text.ptr}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int index = 1 + (int)texts[i].field;
        *texts[i].to = copy_text(op, L, index);
        if (!*texts[i].to && !lua_isnil(L, index)) return ERR_NO_MEMORY;
    }
    mail->text.len = lua_objlen(L, 1 + TEXT);
    op->letter.done = on_done;
    return pack_recipients(op, L);
}

/* send{id=, from=, name=, reply_to=, to={…}, subject=, text=, timeout_ms=} → true */
static int l_send(lua_State *L) {
    mailer_t *mailer = lua_touserdata(L, lua_upvalueindex(1));
    open_letter(L);
    op_t *op = calloc(1, sizeof *op);
    if (!op) return await_push_error(L, ERR_NO_MEMORY, NULL);
    arena_create(&op->arena);
    if (pack(op, L) != 0) {
        release(&op->await);
        return await_push_error(L, ERR_NO_MEMORY, NULL);
    }
    bool given = !lua_isnil(L, 1 + TIMEOUT);
    uint64_t timeout = given ? (uint64_t)lua_tonumber(L, 1 + TIMEOUT) : TIMEOUT_MS;
    await_begin(L, &op->await, &SEND, timeout);
    op->letter.timeout_ms = await_left(&op->await);
    int err = mailer_send(mailer, &op->letter);
    if (err) await_fail(&op->await, err, op->letter.detail[0] ? op->letter.detail : NULL);
    return await_park(L, &op->await);
}

static int install(lua_State *L) {
    static const luaL_Reg FUNCTIONS[] = {{"send", l_send}, {NULL, NULL}};
    native_module(L, "mail.native", FUNCTIONS, lua_touserdata(L, 1));
    return 0;
}

int mail_lua_open(vm_t *vm, mailer_t *mailer) {
    return mailer ? vm_protect(vm, install, mailer, NULL, 0) : 0;
}
