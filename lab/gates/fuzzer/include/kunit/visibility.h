/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FUZZER_KUNIT_VISIBILITY_H
#define FUZZER_KUNIT_VISIBILITY_H

#define EXPORT_SYMBOL_IF_KUNIT(symbol) _Static_assert(1, #symbol)

#endif /* FUZZER_KUNIT_VISIBILITY_H */
