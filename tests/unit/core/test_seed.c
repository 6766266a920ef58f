/* test_seed.c: tenants' documents are brought to the store one after another, and again when it failed. */
#include "core/whole.h"
#include "seed.h"

/* main.seed notes what it is asked for; `mode` decides how it ends. */
#define MAIN_SEED(tag)                                                                             \
    "notes = ''\n"                                                                                 \
    "local function seed(slug)\n"                                                                  \
    "  notes = notes .. '" tag "' .. (slug or '*') .. ' '\n"                                       \
    "  if mode == 'wait' then sleep(60000) end\n"                                                  \
    "  if mode == 'short' then sleep(1) end\n"                                                     \
    "  if mode == 'fail' then mode = nil return nil, 'the store is away', 'busy' end\n"            \
    "  if mode == 'error' then mode = nil error('x') end\n"                                        \
    "  if mode == 'refuse' then return { acme = '/field: taken' } end\n"                           \
    "end\n"                                                                                        \
    "return { routes = {}, tenants = { resolve = seed, seed = seed }, tenant_shop = {} }\n"

static whole_t whole;
static seed_t *seed;
static app_t *app;
static int idles;

static void on_idle(void *data) {
    (void)data;
    idles++;
}

static char told[200];

static void on_stored(void *data, const char *slug, const char *refused) {
    (void)data;
    size_t len = strlen(told);
    snprintf(told + len, sizeof told - len, "%s=%s ", slug, refused ? refused : "stored");
}

static app_t *load(const char *main) {
    char why[1000] = "";
    app_t *loaded = whole_load(&whole, main, why, sizeof why);
    if (!loaded) fail_msg("%s", why);
    return loaded;
}

static int set_up(void **state) {
    (void)state;
    idles = 0;
    whole_open(&whole, NULL);
    app = load(MAIN_SEED(""));
    seed = seed_new(&whole.services, on_idle, NULL);
    seed_use(seed, app);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    seed_delete(seed);
    app_unref(app);
    whole_stop(&whole);
    return 0;
}

static void set_mode(const char *mode) {
    lua_pushstring(app->vm->L, mode);
    lua_setglobal(app->vm->L, "mode");
}

static const char *notes(const app_t *of) {
    static char copy[200];
    lua_getglobal(of->vm->L, "notes");
    snprintf(copy, sizeof copy, "%s", lua_tostring(of->vm->L, -1));
    lua_pop(of->vm->L, 1);
    return copy;
}

static void wishes_are_carried_out_in_order(void **state) {
    (void)state;
    set_mode("short");
    seed_all(seed);
    assert_string_equal(notes(app), ""); /* not inside the call */
    RIG_UNTIL(&whole.rig, *notes(app));
    seed_one(seed, "acme");
    seed_one(seed, "tokyo");
    seed_one(seed, "acme"); /* waits already */
    RIG_UNTIL(&whole.rig, idles == 1);
    assert_string_equal(notes(app), "* acme tokyo ");
    seed_one(seed, "acme");
    RIG_UNTIL(&whole.rig, idles == 2);
    assert_string_equal(notes(app), "* acme tokyo acme ");
}

/* Many wishes that end at once are no stack of calls. */
static void thousands_of_wishes_need_no_stack(void **state) {
    (void)state;
    set_mode("short");
    seed_one(seed, "first");
    RIG_UNTIL(&whole.rig, *notes(app));
    set_mode(NULL);
    for (int i = 0; i < 5000; i++) {
        char slug[20];
        snprintf(slug, sizeof slug, "t%d", i);
        seed_one(seed, slug);
    }
    RIG_UNTIL(&whole.rig, idles == 1);
}

static void what_failed_is_tried_again(void **state) {
    static const char *const MODES[] = {"fail", "error"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        set_mode(MODES[i]);
        seed_one(seed, MODES[i]);
        RIG_UNTIL(&whole.rig, idles == 2 * i + 1);
        RIG_UNTIL(&whole.rig, idles == 2 * i + 2);
    }
    assert_string_equal(notes(app), "fail fail error error ");
}

static void what_is_refused_is_told_and_not_tried_again(void **state) {
    (void)state;
    *told = '\0';
    seed_tell(seed, on_stored);
    set_mode("refuse");
    seed_one(seed, "acme");
    seed_one(seed, "tokyo");
    RIG_UNTIL(&whole.rig, idles == 1);
    assert_string_equal(notes(app), "acme tokyo ");
    assert_string_equal(told, "acme=/field: taken acme=/field: taken tokyo=stored ");
    seed_all(seed);
    RIG_UNTIL(&whole.rig, idles == 2);
    set_mode("fail");
    seed_one(seed, "acme"); /* nothing is told of what failed, until it has been tried again */
    RIG_UNTIL(&whole.rig, idles == 3);
    RIG_UNTIL(&whole.rig, idles == 4);
    assert_string_equal(
        told, "acme=/field: taken acme=/field: taken tokyo=stored acme=/field: taken acme=stored ");
}

static void a_new_edition_begins_again_what_it_cuts_short(void **state) {
    (void)state;
    set_mode("wait");
    seed_one(seed, "acme");
    seed_one(seed, "tokyo");
    RIG_UNTIL(&whole.rig, *notes(app));
    app_t *newer = load(MAIN_SEED("new-"));
    seed_use(seed, newer);
    RIG_UNTIL(&whole.rig, idles == 1);
    assert_string_equal(notes(app), "acme ");
    assert_string_equal(notes(newer), "new-acme new-tokyo ");
    app_unref(newer);
}

static void no_memory_is_a_failure_to_be_tried_again(void **state) {
    (void)state;
    app->vm->fail_after = 0;
    seed_all(seed);
    RIG_UNTIL(&whole.rig, idles == 1);
    app->vm->fail_after = -1;
    RIG_UNTIL(&whole.rig, idles == 2);
    assert_string_equal(notes(app), "* ");
}

static void a_stop_cancels_what_runs(void **state) {
    (void)state;
    set_mode("wait");
    seed_one(seed, "acme");
    seed_one(seed, "tokyo");
    RIG_UNTIL(&whole.rig, app->vm->children == 1);
    seed_stop(seed);
    assert_int_equal(app->vm->children, 0);
    seed_all(seed);
    for (int i = 0; i < 5; i++)
        loop_turn(whole.rig.loop, 1);
    assert_string_equal(notes(app), "acme ");
    assert_int_equal(idles, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(wishes_are_carried_out_in_order),
        CASE(thousands_of_wishes_need_no_stack),
        CASE(what_failed_is_tried_again),
        CASE(what_is_refused_is_told_and_not_tried_again),
        CASE(a_new_edition_begins_again_what_it_cuts_short),
        CASE(no_memory_is_a_failure_to_be_tried_again),
        CASE(a_stop_cancels_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
