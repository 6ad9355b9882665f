<?php

// Starts a PHP function: php /var/runtime/main.php, frame channel on fd 3.
//
// Two strictly separate steps, so that a template process can be forked between them: initialise()
// loads the user's code and opens nothing; serve() opens the channel and never returns.

declare(strict_types=1);

namespace Mayfly;

require __DIR__ . '/mayfly/frames.php';
require __DIR__ . '/mayfly/errors.php';
require __DIR__ . '/mayfly/logs.php';
require __DIR__ . '/mayfly/context.php';
require __DIR__ . '/mayfly/streaming.php';
require __DIR__ . '/mayfly/load.php';
require __DIR__ . '/mayfly/server.php';

/** Loads the user's code and what it takes to serve it. Throws InitError. */
function initialise(): App
{
    $settings = Settings::fromEnvironment();
    Logs::install();
    Leaving::install();
    $app = Load::load($settings);
    Leaving::$loading = false;
    return $app;
}

/** Serves the app on the frame channel until it is shut down. */
function serve(App $app, int $descriptor = 3): never
{
    $channel = new Channel($descriptor);
    Logs::openChannel($channel);
    exit(Leaving::statusOf(new Server($app, $channel)));
}

function main(): never
{
    if (!Channel::isOpen(3)) {
        file_put_contents('php://stderr', "mayfly: file descriptor 3 is not open: this program is started by Mayfly\n");
        exit(1);
    }
    Channel::closeOnExec(3);
    try {
        $app = initialise();
    } catch (InitError $error) {
        Leaving::failInitialisation($error->fault);
    }
    serve($app);
}

main();
