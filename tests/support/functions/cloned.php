<?php

// Says when it was initialised and by which process, which instance it is, and a number that is its own.
$started = hrtime(true);
mt_rand();
$pidThen = getmypid();

return function ($event) use ($started, $pidThen) {
    static $own = null;
    $own ??= mt_rand();
    usleep((int) (1e6 * ($event['s'] ?? 0)));
    $pids = [$pidThen, getmypid()];
    return ['started' => $started, 'stream' => getenv('AWS_LAMBDA_LOG_STREAM_NAME'), 'own' => $own, 'pids' => $pids];
};
