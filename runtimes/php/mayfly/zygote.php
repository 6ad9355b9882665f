<?php

declare(strict_types=1);

namespace Mayfly;

/**
 * A process with the interpreter and this runtime loaded, and nothing of any user's. The programs of
 * new sandboxes are forked from it instead of being started. docs/internals/cloning-runtimes.md.
 */
final class Zygote
{
    /** Those that look at the environment, if at all, when they are used, and keep nothing that a fork would share. */
    private const EXTENSIONS = [
        'bcmath', 'bz2', 'calendar', 'Core', 'ctype', 'curl', 'date', 'dba', 'dom', 'exif', 'FFI', 'fileinfo', 'filter',
        'ftp', 'gd', 'gettext', 'gmp', 'hash', 'iconv', 'igbinary', 'intl', 'json', 'libxml', 'mbstring', 'msgpack',
        'mysqli', 'mysqlnd', 'openssl', 'pcntl', 'pcre', 'PDO', 'pdo_mysql', 'pdo_pgsql', 'pdo_sqlite', 'pgsql', 'Phar',
        'posix', 'random', 'readline', 'redis', 'Reflection', 'session', 'shmop', 'SimpleXML', 'soap', 'sockets',
        'sodium', 'SPL', 'sqlite3', 'standard', 'sysvmsg', 'sysvsem', 'sysvshm', 'tokenizer', 'xml', 'xmlreader',
        'xmlwriter', 'xsl', 'Zend OPcache', 'zip', 'zlib',
    ];

    /** Waits for orders and forks for each. Returns in the programs, as if they had been started. */
    public static function run(): void
    {
        $others = array_diff(get_loaded_extensions(), get_loaded_extensions(true), self::EXTENSIONS);
        $why = $others === [] ? Forking::load() : 'extensions of which nothing is known: ' . implode(', ', $others);
        $why ??= Forking::lines(Forking::$library->mayfly_template_zygote())[0] ?? null;
        if ($why !== null) {
            file_put_contents('php://stderr', "mayfly: $why\n");
            exit(1);
        }
        $own = getenv();
        gc_collect_cycles();
        gc_mem_caches();
        Forking::eachOrder();
        self::becomeProgram($own);
    }

    private static function becomeProgram(array $former): void
    {
        Unique::reseed();
        foreach (array_keys($former) as $name) {
            putenv((string) $name);
        }
        $environment = [];
        foreach (Forking::lines(Forking::$library->mayfly_template_environment()) as $line) {
            [$name, $value] = explode('=', $line, 2);
            putenv($line);
            $environment[$name] = $value;
        }
        $_SERVER = array_replace($environment, array_diff_key($_SERVER, $former));
        $_SERVER['REQUEST_TIME_FLOAT'] = microtime(true);
        $_SERVER['REQUEST_TIME'] = time();
        $_ENV = $_ENV === [] ? [] : $environment; // which php.ini decides
    }
}
