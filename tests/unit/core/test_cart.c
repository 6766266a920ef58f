/* test_cart.c: a cart's hash on both engines: read and written in one step, by one of many, let go when cancelled. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/cache_rig.h"

#define DAY_MS UINT64_C(86400000)
#define TABS 8

typedef struct tab {
    cache_cart_load_t load;
    cache_cart_save_t save;
    cache_field_t field;
    int done;
    char text[200]; /* "name=text " for each field read */
    bool over;
    int engine;
} tab_t;

static cache_rig_t rig;
static tab_t tabs[TABS];

static int fill_sqlite(void **state) {
    (void)state;
    cache_rig_sqlite(&rig);
    memset(tabs, 0, sizeof tabs);
    return 0;
}

static int fill_redis(void **state) {
    (void)state;
    cache_rig_redis(&rig);
    memset(tabs, 0, sizeof tabs);
    return 0;
}

static int empty(void **state) {
    (void)state;
    cache_rig_empty(&rig);
    return 0;
}

static void on_loaded(cache_cart_load_t *load) {
    tab_t *tab = load->data;
    size_t len = 0;
    tab->text[0] = '\0';
    for (size_t i = 0; i < load->count && len < sizeof tab->text; i++)
        len += (size_t)snprintf(tab->text + len, sizeof tab->text - len, "%.*s=%.*s ",
            (int)load->fields[i].name.len, load->fields[i].name.ptr, (int)load->fields[i].text.len,
            load->fields[i].text.ptr);
    tab->done++;
}

static void on_saved(cache_cart_save_t *save) {
    ((tab_t *)save->data)->done++;
}

static void start_load(tab_t *tab, void (*done)(cache_cart_load_t *)) {
    const cache_ops_t *ops = &rig.ops[tab->engine];
    tab->load =
        (cache_cart_load_t){.tenant = SPAN("t1"), .session = SPAN("s1"), .done = done, .data = tab};
    assert_int_equal(ops->cart_load(ops->engine, &tab->load), 0);
}

static void start_save(tab_t *tab, int64_t version, const cache_field_t *set, size_t nset,
    const span_t *unset, size_t nunset, void (*done)(cache_cart_save_t *)) {
    const cache_ops_t *ops = &rig.ops[tab->engine];
    tab->save = (cache_cart_save_t){.tenant = SPAN("t1"),
        .session = SPAN("s1"),
        .version = version,
        .set = set,
        .nset = nset,
        .unset = unset,
        .nunset = nunset,
        .ttl_ms = DAY_MS,
        .done = done,
        .data = tab};
    assert_int_equal(ops->cart_save(ops->engine, &tab->save), 0);
}

static const char *load(int64_t *version) {
    tab_t *tab = &tabs[0];
    tab->done = 0;
    start_load(tab, on_loaded);
    assert_int_equal(tab->done, 0);
    RIG_UNTIL(rig.loop, tab->done);
    assert_int_equal(tab->load.err, 0);
    *version = tab->load.version;
    return tab->text;
}

static int save(int64_t version, const cache_field_t *set, size_t nset, const span_t *unset,
    size_t nunset, int64_t *saved_as) {
    tab_t *tab = &tabs[0];
    tab->done = 0;
    start_save(tab, version, set, nset, unset, nunset, on_saved);
    RIG_UNTIL(rig.loop, tab->done);
    *saved_as = tab->save.saved_as;
    return tab->save.err;
}

static void fields_come_and_go_with_the_version(void **state) {
    (void)state;
    const cache_field_t two[] = {{SPAN("a"), SPAN("1")}, {SPAN("b"), SPAN("")}};
    const span_t gone[] = {SPAN("a"), SPAN("never")};
    int64_t version, first, second, other;
    assert_string_equal(load(&version), "");
    assert_int_equal(version, 0);
    assert_int_equal(save(7, two, 2, NULL, 0, &other), ERR_PRECONDITION_FAILED);
    assert_int_equal(save(0, two, 2, NULL, 0, &first), 0);
    load(&version);
    assert_true(version == first && first > 0);
    assert_non_null(strstr(tabs[0].text, "a=1 "));
    assert_non_null(strstr(tabs[0].text, "b= "));
    assert_int_equal(save(0, two, 2, NULL, 0, &other), ERR_PRECONDITION_FAILED);
    assert_int_equal(save(first, NULL, 0, gone, 2, &second), 0);
    assert_int_equal(second, first + 1);
    assert_string_equal(load(&version), "b= ");
    assert_int_equal(save(first, two, 2, NULL, 0, &other), ERR_PRECONDITION_FAILED);
    assert_string_equal(load(&version), "b= ");
}

/* Each tab adds one to n, again and again until it has won. */
static void add_one(tab_t *tab);

static void on_added(cache_cart_save_t *save) {
    tab_t *tab = save->data;
    if (save->err == ERR_PRECONDITION_FAILED) {
        add_one(tab);
        return;
    }
    assert_int_equal(save->err, 0);
    tab->over = true;
}

static void on_read(cache_cart_load_t *load) {
    tab_t *tab = load->data;
    int64_t n = 0;
    assert_int_equal(load->err, 0);
    if (load->count) assert_int_equal(span_to_i64(load->fields[0].text, &n), 0);
    snprintf(tab->text, sizeof tab->text, "%lld", (long long)n + 1);
    tab->field = (cache_field_t){SPAN("n"), span_of(tab->text)};
    start_save(tab, load->version, &tab->field, 1, NULL, 0, on_added);
}

static void add_one(tab_t *tab) {
    start_load(tab, on_read);
}

static bool all_over(void) {
    for (int i = 0; i < TABS; i++)
        if (!tabs[i].over) return false;
    return true;
}

static void tabs_at_once_lose_nothing(void **state) {
    (void)state;
    char wanted[32];
    int64_t version;
    for (int i = 0; i < TABS; i++) {
        tabs[i].engine = i % 2;
        add_one(&tabs[i]);
    }
    RIG_UNTIL(rig.loop, all_over());
    snprintf(wanted, sizeof wanted, "n=%d ", TABS);
    assert_string_equal(load(&version), wanted);
}

static void what_is_cancelled_is_let_go(void **state) {
    (void)state;
    const cache_field_t field = {SPAN("a"), SPAN("1")};
    for (int i = 1; i < 5; i++) {
        tab_t *tab = &tabs[i];
        start_load(tab, on_loaded);
        start_save(tab, 0, &field, 1, NULL, 0, on_saved);
        rig.ops[0].cart_load_cancel(&tab->load);
        rig.ops[0].cart_save_cancel(&tab->save);
        memset(tab, 0x5a, sizeof *tab);
    }
    int64_t version;
    load(&version);
    for (int i = 1; i < 5; i++)
        for (size_t k = 0; k < sizeof(tab_t); k++)
            assert_int_equal(((unsigned char *)&tabs[i])[k], 0x5a);
}

static void ended_with_the_engine(void **state) {
    (void)state;
    const cache_field_t field = {SPAN("a"), SPAN("1")};
    start_load(&tabs[0], on_loaded);
    start_save(&tabs[1], 0, &field, 1, NULL, 0, on_saved);
    cache_rig_close(&rig);
    assert_int_equal(tabs[0].done, 1);
    assert_int_equal(tabs[1].done, 1);
}

/* The writer is busy all the while: nobody waits for it longer than the engine's own time. */
static void a_save_keeps_its_time(void **state) {
    (void)state;
    db_run_t run;
    const cache_field_t field = {SPAN("a"), SPAN("1")};
    rig.ops[0] = cache_rig_stall(&rig, &run, 30);
    assert_int_equal(rig.ops[0].wait_ms, 30);
    start_save(&tabs[1], 0, &field, 1, NULL, 0, on_saved);
    RIG_UNTIL(rig.loop, tabs[1].done);
    assert_int_equal(tabs[1].save.err, ERR_TIMEOUT);
    cache_rig_unstall(&rig, &run);
    assert_int_equal(tabs[1].done, 1);
}

static void the_shape_is_the_documents(void **state) {
    (void)state;
    const cache_field_t fields[] = {
        {SPAN("item:p1"), SPAN("{\"quantity\":2}")}, {SPAN("total"), SPAN("124.87")}};
    int64_t version;
    call_t call;
    assert_int_equal(save(0, fields, 2, NULL, 0, &version), 0);
    rig_run(rig.loop, rig.redis[0], &call, "HGET cart:t1:s1 total");
    assert_string_equal(call.text, "124.87");
    rig_run(rig.loop, rig.redis[0], &call, "PTTL cart:t1:s1");
    assert_in_range(call.integer, DAY_MS - DAY_MS / 24, DAY_MS);
    rig_run(rig.loop, rig.redis[0], &call, "SCRIPT FLUSH");
    assert_int_equal(save(version, fields, 2, NULL, 0, &version), 0);
}

#define ON(engine, test) cmocka_unit_test_setup_teardown(test, fill_##engine, empty)
#define ON_EACH(engine)                                                                            \
    ON(engine, fields_come_and_go_with_the_version), ON(engine, tabs_at_once_lose_nothing),        \
        ON(engine, what_is_cancelled_is_let_go), ON(engine, ended_with_the_engine)

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest embedded[] = {ON_EACH(sqlite), ON(sqlite, a_save_keeps_its_time)};
    const struct CMUnitTest server[] = {ON_EACH(redis), ON(redis, the_shape_is_the_documents)};
    int failed = cmocka_run_group_tests(embedded, NULL, NULL);
    if (!cache_rig_embedded_only()) failed += cmocka_run_group_tests(server, NULL, NULL);
    return failed;
}
