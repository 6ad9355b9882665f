package Mayfly::Frames;

# Frames: see docs/internals/frames.md, which this file and src/wire/frames.h follow.

use strict;
use warnings;

use constant {
    INVOKE => 1, DATA => 2, CANCEL => 3, WINDOW => 4, SHUTDOWN => 5,
    READY => 65, INIT_ERROR => 66, REPLY => 67, ERROR => 69, LOG => 70,
    END_FLAG => 1, HTTP => 2,
    MAX_FRAME => 64 << 20,
    INITIAL_WINDOW => 1 << 20,
    RECV_BYTES => 256 << 10,
    BODY_BYTES => 256 << 10,    # the most body bytes put into one frame
};

# All strings here are bytes.
sub frame {
    my ($stream, $kind, $flags, $payload) = @_;
    return pack('VVCCv', length $payload, $stream, $kind, $flags, 0) . $payload;
}

sub window {
    my ($stream, $count) = @_;
    return pack('VVCCvV', 4, $stream, WINDOW, 0, 0, $count);
}

# head: JSON, empty for the result of an event.
sub reply {
    my ($stream, $flags, $head, $body) = @_;
    my $size = 4 + length($head) + length($body);
    return pack('VVCCvV', $size, $stream, REPLY, $flags, 0, length $head) . $head . $body;
}

# (meta, body) of an invoke payload.
sub split_invoke {
    my ($payload) = @_;
    my $size = length $payload;
    my $meta = $size >= 4 ? unpack('V', $payload) : $size;
    my $head = $size >= 8 + $meta ? unpack('V', substr($payload, 4 + $meta, 4)) : $size;
    Mayfly::ProtocolError->throw('the lengths inside an invoke frame do not fit')
        if 8 + $meta + $head > $size;
    return (substr($payload, 4, $meta), substr($payload, 8 + $meta + $head));
}

package Mayfly::ProtocolError;    # the other side broke the protocol: there is no way to go on

sub throw {
    my ($class, $message) = @_;
    die bless { message => $message }, $class;
}

package Mayfly::ChannelClosed;    # the engine is gone

sub throw {
    my ($class) = @_;
    die bless {}, $class;
}

package Mayfly::Decoder;          # cuts received bytes into frames

sub new {
    my ($class) = @_;
    return bless { rest => '', wanted => 12 }, $class;
}

# The complete frames, as [stream, kind, flags, payload].
sub feed {
    my ($self, $data) = @_;
    $self->{rest} .= $data;
    my $size = length $self->{rest};
    return if $size < $self->{wanted};
    my ($at, @frames) = (0);
    $self->{wanted} = 12;
    while ($size - $at >= 12) {
        my ($length, $stream, $kind, $flags) = unpack 'VVCC', substr($self->{rest}, $at, 12);
        Mayfly::ProtocolError->throw("a frame of $length bytes is over the limit")
            if $length > Mayfly::Frames::MAX_FRAME;
        if ($at + 12 + $length > $size) {
            $self->{wanted} = 12 + $length;
            last;
        }
        push @frames, [$stream, $kind, $flags, substr($self->{rest}, $at + 12, $length)];
        $at += 12 + $length;
    }
    $self->{rest} = substr($self->{rest}, $at) if $at;
    return @frames;
}

package Mayfly::Channel;          # the channel's socket, blocking

use constant { MSG_NOSIGNAL => 0x4000, EINTR => 4 };

sub new {
    my ($class, $descriptor) = @_;
    open my $socket, '+<&=', $descriptor or Mayfly::ChannelClosed->throw;
    binmode $socket;
    close_on_exec($descriptor);
    return bless { socket => $socket, out => '', owner => $$ }, $class;
}

# False when there is no such descriptor.
sub close_on_exec {
    my ($descriptor) = @_;
    open my $handle, '+<&=', $descriptor or return 0;
    fcntl $handle, 2, 1;          # F_SETFD, FD_CLOEXEC
    our @kept;
    push @kept, $handle;          # closing the handle would close the descriptor
    return 1;
}

# False in a forked child of the user's: the channel belongs to the parent.
sub is_ours { return $_[0]{owner} == $$ }

# Whatever has arrived; waits for something.
sub receive {
    my ($self) = @_;
    my $got;
    while (1) {
        my $count = sysread $self->{socket}, $got, Mayfly::Frames::RECV_BYTES;
        return $got if $count;
        next if !defined $count && $! == EINTR;
        Mayfly::ChannelClosed->throw;
    }
}

# Is there something to receive?
sub arrived {
    my ($self) = @_;
    my $bits = '';
    vec($bits, fileno $self->{socket}, 1) = 1;
    return select($bits, undef, undef, 0) > 0;
}

# To be sent with the next flush.
sub put {
    my ($self, $data) = @_;
    $self->{out} .= $data;
    return;
}

sub flush {
    my ($self) = @_;
    return if $self->{out} eq '';
    my $out = $self->{out};
    $self->{out} = '';
    return if !$self->is_ours;
    my $at = 0;
    while ($at < length $out) {
        my $count = send $self->{socket}, ($at ? substr($out, $at) : $out), MSG_NOSIGNAL;
        if (!defined $count) {
            next if $! == EINTR;
            Mayfly::ChannelClosed->throw;
        }
        $at += $count;
    }
    return;
}

# Sends whole lines (bytes) at once: they must survive if the process dies next.
sub log {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $stream, $which, $text) = @_;
    for (my $at = 0 ; $at < length $text ; $at += Mayfly::Frames::BODY_BYTES) {
        my $piece = substr $text, $at, Mayfly::Frames::BODY_BYTES;
        $self->put(Mayfly::Frames::frame($stream, Mayfly::Frames::LOG, 0, chr($which) . $piece));
    }
    $self->flush;
    return;
}

1;
