<?php

// Says when it was initialised, which instance it is, and a number that is the instance's own.
$started = hrtime(true);
mt_rand();

return function ($event) use ($started) {
    static $own = null;
    $own ??= mt_rand();
    usleep((int) (1e6 * ($event['s'] ?? 0)));
    return ['started' => $started, 'stream' => getenv('AWS_LAMBDA_LOG_STREAM_NAME'), 'own' => $own];
};
