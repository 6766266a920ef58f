/* currency.c: the active codes of ISO 4217 and their minor digits; metals, tests and units of account have none. */
#include "base/money.h"

/* Codes by the number of their minor digits; each is three letters and a space. */
static const char by_digits[][700] = {
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF ",
    "",
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD "
    "CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL "
    "GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR "
    "LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD "
    "PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC "
    "SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW "
    "ZWG ",
    "BHD IQD JOD KWD LYD OMR TND ",
    "CLF UYW ",
};

int currency_digits(span_t code) {
    if (code.len != 3) return -1;
    for (int digits = 0; digits <= MONEY_DIGITS_MAX; digits++) {
        for (const char *at = by_digits[digits]; *at; at += 4) {
            if (memcmp(at, code.ptr, 3) == 0) return digits;
        }
    }
    return -1;
}
