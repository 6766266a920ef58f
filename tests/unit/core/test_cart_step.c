/* test_cart_step.c: a cart's step that nobody waits for any more: let go anywhere, written whole or not at all. */
#include "tenant/rig.h"
#include "app.h"
#include "bindings/script_host.h"
#include "services.h"

#define TURNS 40

typedef struct fixture {
    char folder[200];
    services_t services;
    app_t app;
    host_t host;
} fixture_t;

/* Adds one piece; the tables are made by the first call. */
static const char ADD[] =
    "local cache = require('stores').cache\n"
    "local step = assert(cache.cart_step('t1', 's1'))\n"
    "local product = { sku = 'A', name = 'Mouse', price = decimal.new '29.99', status = 'active', "
    "stock = 1000, stockPolicy = 'deny', category = { 'Mice' } }\n"
    "local result = assert(step:change { slug = 'acme', products = { p1 = product }, ttl_s = 60,\n"
    "  change = { kind = 'add', product_id = 'p1', quantity = 1, most_pieces = 999, most_lines = 9 "
    "} })\n"
    "assert(not result.again and not result.refused)\n"
    "assert(not pcall(step.version, step), 'the step is over')\n"
    "return result.cart.items[1].quantity";
static const char COUNT[] =
    "local fields = (require('stores').cache.cart_load('t1', 's1') or { fields = {} }).fields\n"
    "local item = fields['item:p1']\n"
    "if not item then assert(not fields.total) return 0 end\n"
    "local quantity = json.decode(item).quantity\n"
    "assert(fields.subtotal == money.format(2999 * quantity, 2))\n"
    "return quantity";

static int open_all(void **state) {
    fixture_t *fixture = calloc(1, sizeof *fixture);
    tenants_options_t options;
    host_folder(fixture->folder, sizeof fixture->folder);
    loop_t *loop = fixture->services.loop = loop_new();
    tenants_options_default(&options, loop);
    options.share_percent = 0;
    options.limits.time_ms = 60000;
    fixture->services.tenants = tenants_new(&options);
    fixture->app.services = &fixture->services;
    edition_t *edition = rig_edition("acme", "return function() return {} end", NULL, NULL, NULL);
    edition->document = SPAN("{\"id\":\"01936b5c-0000-7000-8000-000000000001\",\"slug\":\"acme\","
                             "\"settings\":{\"currency\":\"USD\"}}");
    assert_int_equal(tenants_swap(fixture->services.tenants, edition), 0);
    edition_unref(edition);
    host_open(&fixture->host, loop, &(sqlite_options_t){.data_dir = fixture->folder});
    fixture->host.vm->user = &fixture->app;
    *state = fixture;
    return 0;
}

static int close_all(void **state) {
    fixture_t *fixture = *state;
    if (fixture->host.vm) host_close(&fixture->host);
    tenants_delete(fixture->services.tenants);
    loop_delete(fixture->services.loop);
    host_folder_remove(fixture->folder);
    free(fixture);
    return 0;
}

static void pieces_add_up(void **state) {
    fixture_t *fixture = *state;
    for (int i = 1; i <= 3; i++)
        assert_int_equal((int)host_run(&fixture->host, ADD), i);
    assert_int_equal((int)host_run(&fixture->host, COUNT), 3);
}

/* The client leaves after this many turns of the loop: while the cart is read, written, or after it. */
static void one_that_leaves_leaves_a_whole_cart(void **state) {
    fixture_t *fixture = *state;
    host_t *host = &fixture->host;
    int before = (int)host_run(host, ADD);
    for (int turns = 0; turns < TURNS; turns++) {
        task_t *task = host_start(host, ADD, "=leaves");
        for (int i = 0; i < turns && !host->over; i++)
            loop_turn(host->loop, 1);
        if (!host->over) task_cancel(task);
        assert_true(host->over);
        int after = (int)host_run(host, COUNT);
        /* What was let go may still happen, a little later. */
        assert_in_range(after, before, turns + 2);
        before = after;
    }
}

static void the_vm_may_go_first(void **state) {
    fixture_t *fixture = *state;
    host_t *host = &fixture->host;
    host_run(host, ADD);
    task_t *task = host_start(host, ADD, "=goes");
    loop_turn(host->loop, 1);
    if (!host->over) task_cancel(task);
    host_close(host);
    host->vm = NULL;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pieces_add_up, open_all, close_all),
        cmocka_unit_test_setup_teardown(one_that_leaves_leaves_a_whole_cart, open_all, close_all),
        cmocka_unit_test_setup_teardown(the_vm_may_go_first, open_all, close_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
