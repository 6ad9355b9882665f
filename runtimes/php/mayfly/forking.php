<?php

declare(strict_types=1);

namespace Mayfly;

/** What a zygote and a template have in common: libmayfly_template, and the wait for orders. */
final class Forking
{
    private const LIBRARY = '
        char *mayfly_template_zygote(void);
        char *mayfly_template_environment(void);
        char *mayfly_template_open(void);
        char *mayfly_template_look(void);
        int mayfly_template_next(void);
        void mayfly_template_forked(int pid);
        char *mayfly_template_enter(void);
        void mayfly_template_exit(void);';

    public static ?\FFI $library = null;

    /** Loads the library, unless the zygote has. Why it cannot be used, or null. */
    public static function load(): ?string
    {
        foreach (['FFI' => \FFI::class, 'pcntl' => null] as $extension => $class) {
            if ($class !== null ? !class_exists($class, false) : !function_exists('pcntl_fork')) {
                return "cloning needs PHP's extension $extension";
            }
        }
        $path = getenv('MAYFLY_TEMPLATE_LIB') ?: dirname((string) getenv('MAYFLY_CLONE_LIB')) . '/libmayfly_template.so';
        try {
            self::$library ??= \FFI::cdef(self::LIBRARY, $path);
        } catch (\FFI\Exception $error) {
            return "Mayfly's template library cannot be used: {$error->getMessage()}";
        }
        return null;
    }

    /** Waits for orders and forks for each. Returns in the children. */
    public static function eachOrder(): void
    {
        while (self::$library->mayfly_template_next() === 1) {
            $pid = @pcntl_fork();
            if ($pid === 0) {
                return;
            }
            self::$library->mayfly_template_forked($pid > 0 ? $pid : -pcntl_get_last_error());
        }
        self::$library->mayfly_template_exit();
    }

    /** The strings of a block that an empty one ends. */
    public static function lines(\FFI\CData $text): array
    {
        $lines = [];
        while (($line = \FFI::string($text)) !== '') {
            $lines[] = $line;
            $text += strlen($line) + 1;
        }
        return $lines;
    }
}
