<?php
// The event handler of the conformance suite: $event['op'] says what to do.

echo "loaded\n";

function fail_with(string $text): never
{
    throw new RangeException($text);
}

function lines(int $count): Generator
{
    for ($number = 0; $number < $count; $number++) {
        yield "line $number\n";
    }
}

function blocks(int $count, int $size): Generator
{
    yield ['statusCode' => 200, 'headers' => ['content-type' => 'application/x-blocks']];
    for ($number = 0; $number < $count; $number++) {
        yield str_repeat('b', $size);
    }
}

function endless_stream(): Generator
{
    try {
        while (true) {
            yield str_repeat('x', 65536);
        }
    } finally {
        echo "closed the stream\n";
    }
}

function failing_stream(): Generator
{
    yield "before\n";
    throw new RuntimeException('in the middle');
}

function context_members($context): array
{
    $client = $context->clientContext;
    return [
        'request_id' => $context->getAwsRequestId(),
        'name' => $context->functionName,
        'version' => $context->functionVersion,
        'arn' => $context->getInvokedFunctionArn(),
        'memory' => $context->memoryLimitInMB,
        'log_group' => $context->logGroupName,
        'log_stream' => $context->logStreamName,
        'remaining' => $context->getRemainingTimeInMillis(),
        'client_custom' => $client['custom'] ?? null,
        'client_title' => $client['client']['app_title'] ?? null,
    ];
}

function write_logs(array $event): string
{
    $name = $event['name'];
    echo "out $name\n";
    echo 'half ';
    fwrite(STDOUT, "and half $name\n");
    fwrite(STDERR, "err ");
    error_log($name);
    if ($event['unicode'] ?? false) {
        printf("%s\n", 'größe €');
    }
    echo "unfinished $name";
    return $name;
}

function circle(): array
{
    $found = [];
    $found['self'] = &$found;
    return $found;
}

function nap(array $event): string
{
    echo "sleeping {$event['name']}\n";
    usleep((int) ($event['seconds'] * 1e6));
    echo "slept {$event['name']}\n";
    return $event['name'];
}

function remaining($context): array
{
    $first = $context->getRemainingTimeInMillis();
    usleep(50000);
    return [$first, $context->getRemainingTimeInMillis()];
}

function wait_for_cancel($context): void
{
    echo "waiting\n";
    while (!$context->isCancelled()) {
        usleep(5000);
    }
    echo "noticed\n";
}

function handler($event, $context)
{
    switch ($event['op'] ?? null) {
        case 'echo':
            return $event['value'];
        case 'context':
            return context_members($context);
        case 'raise':
            fail_with($event['text'] ?? 'boom');
        case 'unmarshalable':
            return $event['kind'] === 'circle' ? circle() : ['nan' => NAN];
        case 'log':
            return write_logs($event);
        case 'env':
            return array_combine($event['names'], array_map(fn ($name) => getenv($name) === false ? null : getenv($name), $event['names']));
        case 'large':
            return str_repeat('x', $event['size']);
        case 'size':
            return mb_length($event['value']);
        case 'stream':
            return [
                'statusCode' => 201,
                'headers' => ['content-type' => 'text/x-lines', 'x-one' => '1'],
                'cookies' => ['a=1', 'b=2'],
                'body' => lines($event['count']),
            ];
        case 'blocks':
            return blocks($event['count'], $event['size']);
        case 'endless':
            return endless_stream();
        case 'binary':
            return new ArrayIterator(array_fill(0, 3, implode('', array_map('chr', range(0, 255)))));
        case 'stream_fails':
            return failing_stream();
        case 'sleep':
            return nap($event);
        case 'remaining':
            return remaining($context);
        case 'wait_for_cancel':
            wait_for_cancel($context);
            return null;
        case 'exit':
            echo "leaving\n";
            exit(3);
        default:
            return ['unknown' => $event['op'] ?? null];
    }
}

/** Without the extension mbstring. */
function mb_length(string $text): int
{
    return strlen(preg_replace('/[\x80-\xBF]+/', '', $text));
}
