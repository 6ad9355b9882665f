<?php

// Randomness in a template: what was drawn before the clone must not be the same in every clone.
// random_int() and all that uses it asks the kernel each time; OpenSSL is seeded by libmayfly_template.

declare(strict_types=1);

namespace Mayfly {
    final class Unique
    {
        /** First thing in a clone: mt_rand(), rand(), shuffle() and their kin. */
        public static function reseed(): void
        {
            mt_srand(random_int(PHP_INT_MIN, PHP_INT_MAX));
        }
    }
}

// PHP's own keep a state that nothing can set; they are switched off in the runtime's arguments.
namespace {
    if (!function_exists('lcg_value')) {
        function lcg_value(): float
        {
            return random_int(1, 2147483562) * 4.656613e-10;
        }
    }

    if (!function_exists('uniqid')) {
        function uniqid(string $prefix = '', bool $more_entropy = false): string
        {
            static $last = null;
            do {
                ['sec' => $seconds, 'usec' => $micros] = gettimeofday();
            } while ([$seconds, $micros] === $last);
            $last = [$seconds, $micros];
            $entropy = $more_entropy ? sprintf('%.8F', lcg_value() * 10) : '';
            return sprintf('%s%08x%05x%s', $prefix, $seconds, $micros, $entropy);
        }
    }
}
