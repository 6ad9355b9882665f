<?php

declare(strict_types=1);

namespace Mayfly;

/**
 * A process that has run the function's initialisation and is then cloned instead of serving.
 * docs/internals/cloning-runtimes.md. Made before anything of the user's is loaded.
 */
final class Template
{
    private ?\FFI $library;
    private ?string $why; // why the process cannot be cloned, if it cannot

    public function __construct()
    {
        $this->why = Forking::load();
        $this->library = Forking::$library;
        if ($this->why === null) {
            $this->why = Forking::lines($this->library->mayfly_template_open())[0] ?? null;
        }
        foreach (['MAYFLY_TEMPLATE_FD', 'MAYFLY_CLONE_LIB', 'MAYFLY_TEMPLATE_LIB'] as $name) {
            putenv($name);
            unset($_ENV[$name], $_SERVER[$name]);
        }
    }

    /** After initialisation. The members of ready that say whether it can be cloned. */
    public function settle(App $app): array
    {
        if ($this->why === null) {
            gc_collect_cycles();
            foreach (Forking::lines($this->library->mayfly_template_look()) as $line) {
                if ($line[0] === '!') {
                    $this->why = substr($line, 1);
                } else {
                    $app->notes[] = substr($line, 1);
                }
            }
        }
        return $this->why === null ? ['cloneable' => true] : ['cloneable' => false, 'why' => $this->why];
    }

    /** Waits for orders and forks for each. Returns in the clones. */
    public function run(): void
    {
        gc_collect_cycles();
        gc_mem_caches();
        Forking::eachOrder();
        $this->becomeClone();
    }

    private function becomeClone(): void
    {
        $environment = Forking::lines($this->library->mayfly_template_enter());
        Unique::reseed();
        Leaving::own();
        $_SERVER['REQUEST_TIME_FLOAT'] = microtime(true);
        $_SERVER['REQUEST_TIME'] = time();
        foreach ($environment as $line) {
            [$name, $value] = explode('=', $line, 2) + ['', ''];
            if ($name !== '') {
                putenv($line);
                $_ENV[$name] = $_SERVER[$name] = $value;
            }
        }
    }
}
