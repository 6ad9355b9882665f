package Mayfly::Logs;

# STDOUT and STDERR of the user's code, tied, and attributed to the invocation that wrote. What is
# written before the channel is open goes to the pipes on fd 1 and 2.

use strict;
use warnings;

use constant LINE_BYTES => 64 << 10;    # an unfinished line longer than this is sent in pieces

my $process = { stream => 0 };
my $channel;
my @raw;
our $sole;                              # the one invocation that runs

sub install {
    for my $which (1, 2) {
        open $raw[$which], '>&=', $which or next;
        binmode $raw[$which];
    }
    tie *STDOUT, 'Mayfly::LogHandle', 1;
    tie *STDERR, 'Mayfly::LogHandle', 2;
    return;
}

sub open_channel {
    ($channel) = @_;
    return;
}

# Text of the user's as UTF-8: characters are encoded, bytes stay what they are where they fit.
sub bytes {
    my ($text) = @_;
    if (utf8::is_utf8($text)) {
        utf8::encode($text);
    }
    elsif ($text =~ /[\x80-\xff]/) {
        my $copy = $text;
        utf8::encode($text) if !utf8::decode($copy);
    }
    return $text;
}

sub emit {
    my ($target, $which, $text) = @_;
    if ($channel) {
        $channel->log($target->{stream}, $which, bytes($text));
    }
    else {
        syswrite $raw[$which], bytes($text);
    }
    return;
}

sub write_text {
    my ($which, $text) = @_;
    if (!$channel || !$channel->is_ours) {
        utf8::encode($text) if utf8::is_utf8($text);
        return defined syswrite $raw[$which], $text;
    }
    my $target = $sole // $process;
    my $partial = $target->{partial} //= ['', '', ''];
    my $at = rindex $text, "\n";
    if ($at >= 0) {
        my $line = $partial->[$which] . substr $text, 0, $at + 1;
        $partial->[$which] = substr $text, $at + 1;
        emit($target, $which, $line);
    }
    else {
        $partial->[$which] .= $text;
        if (length $partial->[$which] > LINE_BYTES) {
            my $line = $partial->[$which];
            $partial->[$which] = '';
            emit($target, $which, "$line\n");
        }
    }
    return 1;
}

sub raw_error {
    my ($text) = @_;
    syswrite $raw[2], $text;
    return;
}

# Sends unfinished lines.
sub finish {
    my $target = $sole // $process;
    undef $sole;
    my $partial = delete $target->{partial} or return;
    for my $which (1, 2) {
        emit($target, $which, "$partial->[$which]\n") if $partial->[$which] ne '';
    }
    return;
}

sub flush {
    $channel->flush if $channel;
    return;
}

package Mayfly::LogHandle;

sub TIEHANDLE {
    my ($class, $which) = @_;
    return bless { which => $which }, $class;
}

sub PRINT {
    my ($self, @items) = @_;
    my $text = join $, // '', map { $_ // '' } @items;
    $text .= $\ if defined $\;
    return $text eq '' || Mayfly::Logs::write_text($self->{which}, $text);
}

sub PRINTF {
    my ($self, $format, @items) = @_;
    return Mayfly::Logs::write_text($self->{which}, sprintf $format, @items);
}

sub WRITE {
    my ($self, $text, $length, $offset) = @_;
    $text = substr $text, $offset // 0, $length // length $text;
    Mayfly::Logs::write_text($self->{which}, $text);
    return length $text;
}

sub OPEN {
    my ($self, $mode, @rest) = @_;
    my $handle = $self->{which} == 1 ? \*STDOUT : \*STDERR;
    untie *$handle;
    return @rest ? open $handle, $mode, @rest : open $handle, $mode;
}

sub FILENO  { return $_[0]{which} }
sub BINMODE { return 1 }
sub CLOSE   { return 1 }
sub EOF     { return 1 }

1;
