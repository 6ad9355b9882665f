<?php

declare(strict_types=1);

namespace Mayfly;

/** The context object: the getters of Bref's, the members of AWS's, and isCancelled(). */
final class Context implements \JsonSerializable
{
    public readonly string $awsRequestId;
    public readonly string $invokedFunctionArn;
    public readonly string $functionName;
    public readonly string $functionVersion;
    public readonly string $memoryLimitInMB;
    public readonly string $logGroupName;
    public readonly string $logStreamName;
    public readonly ?array $clientContext;
    private readonly int $deadlineMs;
    private readonly string $traceId;

    public function __construct(array $meta, private readonly Call $call)
    {
        $this->awsRequestId = $meta['id'] ?? '';
        $this->invokedFunctionArn = $meta['arn'] ?? '';
        $this->deadlineMs = (int) ($meta['deadline_ms'] ?? 0);
        $this->traceId = $meta['trace'] ?? '';
        $client = $meta['client_context'] ?? '';
        $client = $client === '' ? null : json_decode($client, true);
        $this->clientContext = is_array($client) ? $client : null;
        $this->functionName = (string) getenv('AWS_LAMBDA_FUNCTION_NAME');
        $this->functionVersion = (string) getenv('AWS_LAMBDA_FUNCTION_VERSION');
        $this->memoryLimitInMB = (string) getenv('AWS_LAMBDA_FUNCTION_MEMORY_SIZE');
        $this->logGroupName = (string) getenv('AWS_LAMBDA_LOG_GROUP_NAME');
        $this->logStreamName = (string) getenv('AWS_LAMBDA_LOG_STREAM_NAME');
    }

    public function getAwsRequestId(): string
    {
        return $this->awsRequestId;
    }

    public function getInvokedFunctionArn(): string
    {
        return $this->invokedFunctionArn;
    }

    public function getTraceId(): string
    {
        return $this->traceId;
    }

    public function getRemainingTimeInMillis(): int
    {
        return max(0, $this->deadlineMs - (int) floor(microtime(true) * 1000));
    }

    /** True once nobody waits for the result any more. */
    public function isCancelled(): bool
    {
        return $this->call->isCancelled();
    }

    public function jsonSerialize(): array
    {
        return [
            'awsRequestId' => $this->awsRequestId,
            'deadlineMs' => $this->deadlineMs,
            'invokedFunctionArn' => $this->invokedFunctionArn,
            'traceId' => $this->traceId,
        ];
    }
}

// Handlers that were written for Bref name its class.
class_alias(Context::class, 'Bref\Context\Context');
