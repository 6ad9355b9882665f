<?php

// Starts a PHP function: php /var/runtime/main.php, frame channel on fd 3.
//
// Two strictly separate steps, so that a template process can be forked between them: initialise()
// loads the user's code and opens nothing; serve() opens the channel and never returns. With
// MAYFLY_TEMPLATE_FD the process is such a template: what it serves, it serves in its clones. With
// MAYFLY_ZYGOTE_FD it is a zygote: whatever of the above, it does in forks of itself.

declare(strict_types=1);

namespace Mayfly;

require __DIR__ . '/mayfly/frames.php';
require __DIR__ . '/mayfly/errors.php';
require __DIR__ . '/mayfly/logs.php';
require __DIR__ . '/mayfly/context.php';
require __DIR__ . '/mayfly/streaming.php';
require __DIR__ . '/mayfly/load.php';
require __DIR__ . '/mayfly/server.php';
require __DIR__ . '/mayfly/hooks.php';
require __DIR__ . '/mayfly/unique.php';

/** Loads the user's code and what it takes to serve it. Throws InitError. */
function initialise(): App
{
    $settings = Settings::fromEnvironment();
    Logs::install();
    Leaving::install();
    return Load::load($settings);
}

/**
 * Serves the app on the frame channel until it is shut down.
 *
 * ready: members that its first frame has beside the usual ones; null: a clone, whose template has
 * said that it is ready.
 */
function serve(App $app, int $descriptor = 3, ?array $ready = []): never
{
    $channel = new Channel($descriptor);
    Logs::openChannel($channel);
    exit(Leaving::statusOf(new Server($app, $channel), $ready));
}

/** Initialises, and in a template waits for orders. The app, and what serve() takes as ready. Throws InitError. */
function start(?Template $template): array
{
    $app = initialise();
    Hooks::runBefore();
    $ready = $template === null ? [] : $template->settle($app);
    if ($ready['cloneable'] ?? false) {
        $channel = new Channel(3);
        $channel->put(Server::readyFrame($app, $ready));
        $channel->flush();
        unset($channel); // its copy of the descriptor must not be in the clones
        $template->run(); // returns in each clone
        $ready = null;
    }
    Hooks::runAfter();
    Leaving::$loading = false;
    return [$app, $ready];
}

function main(): never
{
    if ((string) getenv('MAYFLY_ZYGOTE_FD') !== '') {
        foreach (['forking', 'template', 'zygote'] as $name) {
            require_once __DIR__ . "/mayfly/$name.php";
        }
        Zygote::run(); // returns in each program
    }
    if (!Channel::isOpen(3)) {
        file_put_contents('php://stderr', "mayfly: file descriptor 3 is not open: this program is started by Mayfly\n");
        exit(1);
    }
    Channel::closeOnExec(3);
    $template = null;
    if ((string) getenv('MAYFLY_TEMPLATE_FD') !== '') {
        require_once __DIR__ . '/mayfly/forking.php';
        require_once __DIR__ . '/mayfly/template.php';
        $template = new Template();
    }
    try {
        [$app, $ready] = start($template);
    } catch (InitError $error) {
        Leaving::failInitialisation($error->fault);
    }
    serve($app, 3, $ready);
}

main();
