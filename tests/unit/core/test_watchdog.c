/* test_watchdog.c: a handler that holds the loop is ended, and one that does not is let be. */
#include "core/whole.h"
#include "watchdog.h"

#define BUSY "local function busy(s) local t = os.clock() while os.clock() - t < s do end end\n"

static whole_t whole;

static int set_up(void **state) {
    (void)state;
    whole_create(&whole);
    whole.config.request_ms = 600000; /* it is processor time that counts here */
    whole_start(&whole,
        BUSY MAIN("['GET /api/endless'] = function() while true do end end,"
                  "['GET /api/stubborn'] = function() while true do pcall(function() while true do"
                  "  end end) end end,"
                  "['GET /api/waits'] = function() for _ = 1, 20 do busy(0.03) sleep(0) end"
                  "  return 'done' end,"
                  "['GET /api/many'] = function() local all = {}"
                  "  for i = 1, 20 do all[i] = function() busy(0.03) end end"
                  "  return tostring(#wait_all(all)) end,"
                  "['GET /api/x'] = function() return 'x' end"));
    return watchdog_start(200);
}

static int tear_down(void **state) {
    (void)state;
    watchdog_stop();
    whole_stop(&whole);
    return 0;
}

static void an_endless_handler_gets_an_error(void **state) {
    (void)state;
    whole_expect(&whole, 500, "GET /api/endless", NULL, "internal");
    whole_expect(&whole, 200, "GET /api/x", NULL, "\r\n\r\nx");
}

static void pcall_does_not_help(void **state) {
    (void)state;
    whole_expect(&whole, 500, "GET /api/stubborn", NULL, "internal");
    whole_expect(&whole, 200, "GET /api/x", NULL, "\r\n\r\nx");
}

/* Three times the limit in all, but never long at once. */
static void who_waits_in_between_is_let_be(void **state) {
    (void)state;
    whole_expect(&whole, 200, "GET /api/waits", NULL, "\r\n\r\ndone");
}

/* The same in one turn of the loop. */
static void many_short_ones_are_not_one_long_one(void **state) {
    (void)state;
    whole_expect(&whole, 200, "GET /api/many", NULL, "\r\n\r\n20");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endless_handler_gets_an_error),
        cmocka_unit_test(pcall_does_not_help),
        cmocka_unit_test(who_waits_in_between_is_let_be),
        cmocka_unit_test(many_short_ones_are_not_one_long_one),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
