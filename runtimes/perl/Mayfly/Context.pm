package Mayfly::Context;

# The context object: the methods of AWS::Lambda::Context, and cancelled().

use strict;
use warnings;

sub new {
    my ($class, $meta, $call, $server) = @_;
    return bless { meta => $meta, call => $call, server => $server }, $class;
}

sub aws_request_id       { return $_[0]{meta}{id} }
sub invoked_function_arn { return $_[0]{meta}{arn} }
sub trace_id             { return $_[0]{meta}{trace} }
sub tenant_id            { return undef }                       ## no critic (ProhibitExplicitReturnUndef)
sub identity             { return undef }                       ## no critic (ProhibitExplicitReturnUndef)
sub function_name        { return $ENV{AWS_LAMBDA_FUNCTION_NAME} }
sub function_version     { return $ENV{AWS_LAMBDA_FUNCTION_VERSION} }
sub memory_limit_in_mb   { return $ENV{AWS_LAMBDA_FUNCTION_MEMORY_SIZE} }
sub log_group_name       { return $ENV{AWS_LAMBDA_LOG_GROUP_NAME} }
sub log_stream_name      { return $ENV{AWS_LAMBDA_LOG_STREAM_NAME} }

sub client_context {
    my ($self) = @_;
    my $text = $self->{meta}{client_context} // '';
    utf8::encode($text);
    return $self->{client} //= eval { Mayfly::Json::decode($text) };
}

sub get_remaining_time_in_millis {
    my ($self) = @_;
    require Time::HiRes;
    my $left = int(($self->{meta}{deadline_ms} // 0) - 1000 * Time::HiRes::time());
    return $left > 0 ? $left : 0;
}

# True once nobody waits for the result any more.
sub cancelled {
    my ($self) = @_;
    $self->{server}->look_for_cancel if !$self->{call}{cancelled};
    return $self->{call}{cancelled} ? 1 : 0;
}

1;
