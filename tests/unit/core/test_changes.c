/* test_changes.c: swaps of rules wait for a script, each once, and go when it has noted them. */
#include "core/whole.h"

static void they_wait_until_they_are_done(void **state) {
    (void)state;
    whole_t whole;
    whole_open(
        &whole, "local changes = require 'changes'\n" MAIN(
                    "['GET /api/waiting'] = function() return json.array(changes.waiting()) end,"
                    "['GET /api/done/:id'] = function(req) changes.done(req.params.id) end"));
    whole_expect(&whole, 200, "GET /api/waiting", NULL, "\r\n\r\n[]");
    changes_add(&whole.services.changes, "acme", "id-1", "old", "new");
    changes_add(&whole.services.changes, "acme", "id-1", "old", "new");
    changes_add(&whole.services.changes, "tokyo", "id-2", "", "first");
    whole_expect(&whole, 200, "GET /api/waiting", NULL,
        "[{\"after\":\"new\",\"before\":\"old\",\"id\":\"id-1\",\"tenant\":\"acme\"},"
        "{\"after\":\"first\",\"id\":\"id-2\",\"tenant\":\"tokyo\"}]");
    whole_expect(&whole, 204, "GET /api/done/id-1", NULL, "204");
    whole_expect(&whole, 204, "GET /api/done/id-1", NULL, "204");
    whole_expect(&whole, 200, "GET /api/waiting", NULL, "[{\"after\":\"first\",\"id\":\"id-2\"");
    /* What nobody has noted goes with the services. */
    whole_stop(&whole);
}

static void there_are_not_too_many(void **state) {
    (void)state;
    whole_t whole;
    whole_open(&whole, MAIN("['GET /api/count'] = function()"
                            " return tostring(#require('changes').waiting()) end"));
    char id[20];
    for (int i = 0; i < CHANGES_MOST + 1; i++) {
        snprintf(id, sizeof id, "id-%d", i);
        changes_add(&whole.services.changes, "acme", id, "old", "new");
    }
    assert_int_equal(whole.services.changes.count, CHANGES_MOST);
    whole_expect(&whole, 200, "GET /api/count", NULL, "\r\n\r\n100");
    whole_stop(&whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_wait_until_they_are_done),
        cmocka_unit_test(there_are_not_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
