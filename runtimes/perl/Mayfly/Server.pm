package Mayfly::Server;

# Serves events one at a time.

use strict;
use warnings;

use constant SOME_REPLIES => 32;    # so many finished replies are sent together at most

my %TAKE = (
    Mayfly::Frames::INVOKE() => \&open_stream,
    Mayfly::Frames::DATA() => \&more,
    Mayfly::Frames::WINDOW() => \&grant,
    Mayfly::Frames::CANCEL() => \&cancel,
    Mayfly::Frames::SHUTDOWN() => sub { $_[0]{closing} = 1 },
);

sub new {
    my ($class, $app, $channel) = @_;
    return bless {
        app => $app, channel => $channel, decoder => Mayfly::Decoder->new,
        backlog => [],     # complete invokes: [stream, meta, body]
        incoming => {},    # by stream: [meta, body so far]
        calls => {},       # by stream: { stream, credit, cancelled, rest, partial }, until the answer is over
    }, $class;
}

sub ready_frame {
    my ($app, $ready) = @_;
    my $json = Mayfly::Json::encode({ %{ Mayfly::Load::ready($app) }, %$ready });
    return Mayfly::Frames::frame(0, Mayfly::Frames::READY, 0, $json);
}

# ready: members that its first frame has beside the usual ones; undef: a clone, which sends none.
sub run {
    my ($self, $ready) = @_;
    if ($ready) {
        $self->{channel}->put(ready_frame($self->{app}, $ready));
        $self->{channel}->flush;
    }
    while (!$self->{closing} || @{ $self->{backlog} } || %{ $self->{calls} } || %{ $self->{incoming} }) {
        $self->pump;
        $self->work;
    }
    return;
}

# Takes in what has arrived; waits for something.
sub pump {
    my ($self) = @_;
    for my $frame ($self->{decoder}->feed($self->{channel}->receive)) {
        my ($stream, $kind, $flags, $payload) = @$frame;
        my $take = $TAKE{$kind} or Mayfly::ProtocolError->throw("unexpected frame type $kind");
        $take->($self, $stream, $payload, $flags);
    }
    return;
}

sub look_for_cancel {
    my ($self) = @_;
    $self->pump while $self->{channel}->arrived;
    return;
}

sub work {
    my ($self) = @_;
    my $count = 0;
    while (my $item = shift @{ $self->{backlog} }) {
        $self->invoke(@$item);
        $self->{channel}->flush if ++$count % SOME_REPLIES == 0;
    }
    $self->{channel}->flush;
    return;
}

sub open_stream {
    my ($self, $stream, $payload, $flags) = @_;
    if ($flags & Mayfly::Frames::HTTP) {
        my $fault = Mayfly::Errors::fault('Runtime.ProtocolError', 'an HTTP request came to an event handler');
        return $self->error($stream, $fault);
    }
    my ($meta, $body) = Mayfly::Frames::split_invoke($payload);
    if ($flags & Mayfly::Frames::END_FLAG) {
        push @{ $self->{backlog} }, [$stream, $meta, $body];
        return;
    }
    $self->{incoming}{$stream} = [$meta, $body];
    $self->{channel}->put(Mayfly::Frames::window($stream, length $body)) if $body ne '';
    return;
}

sub more {
    my ($self, $stream, $payload, $flags) = @_;
    my $item = $self->{incoming}{$stream} or return;    # of a stream that is over
    $item->[1] .= $payload;
    if ($flags & Mayfly::Frames::END_FLAG) {
        delete $self->{incoming}{$stream};
        push @{ $self->{backlog} }, [$stream, @$item];
    }
    else {
        $self->{channel}->put(Mayfly::Frames::window($stream, length $payload));
    }
    return;
}

sub grant {
    my ($self, $stream, $payload) = @_;
    my $call = $self->{calls}{$stream} or return;
    $call->{credit} += unpack 'V', $payload;
    $self->send_rest($call) if defined $call->{rest};
    return;
}

sub cancel {
    my ($self, $stream) = @_;
    my $call = $self->{calls}{$stream};
    if ($call && !defined $call->{rest}) {
        $call->{cancelled} = 1;
        return;
    }
    my $backlog = $self->{backlog};
    my $waiting = @$backlog;
    @$backlog = grep { $_->[0] != $stream } @$backlog;
    if (delete $self->{calls}{$stream} || delete $self->{incoming}{$stream} || @$backlog < $waiting) {
        $self->error($stream, Mayfly::Errors::cancelled());
    }
    return;
}

# ---- calling

sub invoke {
    my ($self, $stream, $meta, $body) = @_;
    my $call = { stream => $stream, credit => Mayfly::Frames::INITIAL_WINDOW, cancelled => 0 };
    $self->{calls}{$stream} = $Mayfly::Logs::sole = $call;
    $meta = Mayfly::Json::decode($meta);
    my $event = {};
    if ($body ne '' && !eval { $event = Mayfly::Json::decode($body); 1 }) {
        chomp(my $why = $@);
        return $self->failed($call, Mayfly::Errors::fault('Runtime.UnmarshalError', "Unable to unmarshal input: $why"));
    }
    $self->trace($meta->{trace} // '');
    my ($result, $text);
    my $context = Mayfly::Context->new($meta, $call, $self);
    my $done = eval {
        local $SIG{__DIE__} = \&Mayfly::Errors::note;
        $result = $self->{app}{target}->($event, $context);
        my $stream_of = Mayfly::Streaming::of($result);
        $self->stream($call, $stream_of) if $stream_of;
        $stream_of ? 2 : 1;
    };
    return $self->raised($call, $@) if !$done;
    return if $done == 2;
    if (!eval { $text = Mayfly::Json::encode($result); 1 }) {
        chomp(my $why = $@);
        return $self->failed($call, Mayfly::Errors::fault('Runtime.MarshalError', "Unable to marshal response: $why"));
    }
    return $self->complete($call, $text);
}

sub trace {
    my ($self, $value) = @_;
    if ($value ne '') {
        $ENV{_X_AMZN_TRACE_ID} = $value;
        $self->{traced} = 1;
    }
    elsif (delete $self->{traced}) {
        delete $ENV{_X_AMZN_TRACE_ID};
    }
    return;
}

# ---- answers

sub complete {
    my ($self, $call, $text) = @_;
    Mayfly::Logs::finish();
    my $stream = $call->{stream};
    if (length $text <= $call->{credit}) {
        delete $self->{calls}{$stream};
        $self->{channel}->put(Mayfly::Frames::reply($stream, Mayfly::Frames::END_FLAG, '', $text));
        return;
    }
    $self->{channel}->put(Mayfly::Frames::reply($stream, 0, '', substr $text, 0, $call->{credit}));
    $call->{rest} = substr $text, $call->{credit};
    $call->{credit} = 0;
    return;
}

sub send_rest {
    my ($self, $call) = @_;
    my ($at, $size) = (0, length $call->{rest});
    while ($at < $size && $call->{credit} > 0) {
        my $piece = substr $call->{rest}, $at, smallest($call->{credit}, Mayfly::Frames::BODY_BYTES);
        $call->{credit} -= length $piece;
        $at += length $piece;
        my $flags = $at == $size ? Mayfly::Frames::END_FLAG : 0;
        $self->{channel}->put(Mayfly::Frames::frame($call->{stream}, Mayfly::Frames::DATA, $flags, $piece));
    }
    $call->{rest} = substr $call->{rest}, $at;
    delete $self->{calls}{ $call->{stream} } if $at == $size;
    $self->{channel}->flush;
    return;
}

sub smallest {
    my ($one, $other) = @_;
    return $one < $other ? $one : $other;
}

sub raised {
    my ($self, $call, $error) = @_;
    die $error if ref($error) =~ /^Mayfly::(?:ProtocolError|ChannelClosed)\z/;
    my $cancelled = ref $error eq 'Mayfly::Cancelled';
    return $self->failed($call, $cancelled ? Mayfly::Errors::cancelled() : Mayfly::Errors::describe($error));
}

sub failed {
    my ($self, $call, $fault) = @_;
    Mayfly::Logs::finish();
    Mayfly::Logs::emit($call, 2, Mayfly::Errors::log_text($fault));
    delete $self->{calls}{ $call->{stream} };
    $self->error($call->{stream}, $fault);
    return;
}

sub error {
    my ($self, $stream, $fault) = @_;
    my $json = Mayfly::Json::encode($fault);
    $self->{channel}->put(Mayfly::Frames::frame($stream, Mayfly::Frames::ERROR, Mayfly::Frames::END_FLAG, $json));
    return;
}

sub stream {
    my ($self, $call, $produce) = @_;
    my $started = 0;
    $produce->(sub {
        my ($head) = @_;
        die "the answer has a head already\n" if $started++;
        $self->{channel}->put(Mayfly::Frames::reply($call->{stream}, Mayfly::Frames::HTTP, Mayfly::Streaming::head_json($head), ''));
        return Mayfly::Writer->new($self, $call);
    });
    die "the streaming sub has not called its responder\n" if !$started;
    Mayfly::Logs::finish();
    delete $self->{calls}{ $call->{stream} };
    $self->{channel}->put(Mayfly::Frames::frame($call->{stream}, Mayfly::Frames::DATA, Mayfly::Frames::END_FLAG, ''));
    return;
}

# Sends streamed bytes as credit allows.
sub send_chunk {
    my ($self, $call, $data) = @_;
    my $at = 0;
    while ($at < length $data) {
        Mayfly::Cancelled->throw if $call->{cancelled};
        if ($call->{credit} == 0) {
            $self->{channel}->flush;
            $self->pump;
            next;
        }
        my $piece = substr $data, $at, smallest($call->{credit}, Mayfly::Frames::BODY_BYTES);
        $call->{credit} -= length $piece;
        $at += length $piece;
        $self->{channel}->put(Mayfly::Frames::frame($call->{stream}, Mayfly::Frames::DATA, 0, $piece));
    }
    $self->{channel}->flush;
    $self->look_for_cancel;
    Mayfly::Cancelled->throw if $call->{cancelled};
    return;
}

1;
