package Mayfly::Json;

# JSON in and out, with JSON::PP's conventions (its booleans, \1 and \0, TO_JSON) and regular
# expressions over whole tokens: JSON::PP itself looks at every character and takes long to load.

use strict;
use warnings;
no warnings qw(surrogate nonchar utf8 recursion);

BEGIN { warnings->unimport('experimental::builtin') if $] >= 5.035 }

use JSON::PP::Boolean ();

use constant DEEPEST => 512;

our $true = do { bless \(my $value = 1), 'JSON::PP::Boolean' };
our $false = do { bless \(my $value = 0), 'JSON::PP::Boolean' };

# Is a plain scalar a number, and is it a boolean of Perl's own?
my ($is_number, $is_bool);

BEGIN {
    if (defined &builtin::created_as_number) {
        no warnings;    # the category is not known everywhere
        ($is_number, $is_bool) = (\&builtin::created_as_number, \&builtin::is_bool);
    }
    else {
        require B;
        $is_number = sub {
            my $flags = B::svref_2object(\$_[0])->FLAGS;
            return $flags & (B::SVp_IOK() | B::SVp_NOK()) && !($flags & B::SVp_POK());
        };
        $is_bool = sub { return 0 };
    }
}

my %UNESCAPE = ('"' => '"', '\\' => '\\', '/' => '/', b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");
my %ESCAPE = ("\b" => '\b', "\f" => '\f', "\n" => '\n', "\r" => '\r', "\t" => '\t', '"' => '\"', '\\' => '\\\\');

our ($in, $depth);

# The value of JSON bytes. Dies with a message.
sub decode {
    local $in = shift;
    local $depth = 0;
    pos($in) = 0;
    my $value = value();
    $in =~ /\G[ \t\n\r]+/gc;
    fail('garbage after the value') if pos($in) != length $in;
    return $value;
}

sub fail {
    my ($what) = @_;
    die sprintf "%s, at offset %d\n", $what, pos $in;
}

sub value {
    $in =~ /\G[ \t\n\r]+/gc;
    my $first = substr $in, pos($in), 1;
    return string() if $first eq '"';
    return object() if $first eq '{';
    return array() if $first eq '[';
    my $start = pos $in;
    if ($in =~ /\G-?(?:0|[1-9][0-9]*)/gc) {
        my $whole = $in !~ /\G(?=[.eE])/gc;
        if (!$whole) {
            $in =~ /\G(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/gc;
        }
        my $digits = substr $in, $start, pos($in) - $start;
        return 0 + $digits;
    }
    return $true if $in =~ /\Gtrue/gc;
    return $false if $in =~ /\Gfalse/gc;
    return undef if $in =~ /\Gnull/gc;    ## no critic (ProhibitExplicitReturnUndef)
    fail(pos($in) < length $in ? 'unexpected character' : 'unexpected end');
}

sub array {
    fail('nested too deeply') if ++$depth > DEEPEST;
    $in =~ /\G\[[ \t\n\r]*/gc;
    my @values;
    if ($in !~ /\G\]/gc) {
        while (1) {
            push @values, value();
            next if $in =~ /\G[ \t\n\r]*,/gc;
            last if $in =~ /\G[ \t\n\r]*\]/gc;
            fail('expected , or ]');
        }
    }
    $depth--;
    return \@values;
}

sub object {
    fail('nested too deeply') if ++$depth > DEEPEST;
    $in =~ /\G\{[ \t\n\r]*/gc;
    my %values;
    if ($in !~ /\G\}/gc) {
        while (1) {
            $in =~ /\G[ \t\n\r]+/gc;
            fail('expected a name') if substr($in, pos($in), 1) ne '"';
            my $name = string();
            fail('expected :') if $in !~ /\G[ \t\n\r]*:/gc;
            $values{$name} = value();
            next if $in =~ /\G[ \t\n\r]*,/gc;
            last if $in =~ /\G[ \t\n\r]*\}/gc;
            fail('expected , or }');
        }
    }
    $depth--;
    return \%values;
}

sub string {
    my $start = pos($in) + 1;
    my $escaped = 0;
    pos($in) = $start;
    while (1) {
        $in =~ /\G[^"\\\x00-\x1f]+/gc;
        last if $in =~ /\G"/gc;
        fail('bad string') if $in !~ m{\G\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})}gc;
        $escaped = 1;
    }
    my $text = substr $in, $start, pos($in) - 1 - $start;
    utf8::decode($text) or fail('bad UTF-8') if $text =~ /[\x80-\xff]/;
    if ($escaped) {
        $text =~ s{\\(?:u([dD][89abAB]..)\\u([dD][c-fC-F]..)|u(....)|(.))}
                  {defined $4 ? $UNESCAPE{$4}
                   : defined $3 ? chr hex $3
                   : chr(0x10000 + ((hex($1) & 0x3ff) << 10) + (hex($2) & 0x3ff))}ge;
    }
    return $text;
}

our %inside;

# UTF-8 JSON of a value. Dies with a message.
sub encode {
    my ($value) = @_;
    local $depth = 0;
    my $out = '';
    write_value($value, \$out);
    utf8::encode($out);
    return $out;
}

sub write_value {
    my ($value, $out) = @_;
    my $kind = ref $value;
    if ($kind eq '') {
        $$out .= scalar_text($value);
    }
    elsif ($kind eq 'HASH') {
        die "it is nested too deeply, or holds itself\n" if ++$depth > DEEPEST;
        my $comma = '{';
        for my $name (keys %$value) {
            $$out .= $comma . quoted($name) . ':';
            write_value($value->{$name}, $out);
            $comma = ',';
        }
        $$out .= $comma eq '{' ? '{}' : '}';
        $depth--;
    }
    elsif ($kind eq 'ARRAY') {
        die "it is nested too deeply, or holds itself\n" if ++$depth > DEEPEST;
        my $comma = '[';
        for my $item (@$value) {
            $$out .= $comma;
            write_value($item, $out);
            $comma = ',';
        }
        $$out .= $comma eq '[' ? '[]' : ']';
        $depth--;
    }
    else {
        write_object($value, $kind, $out);
    }
    return;
}

sub write_object {
    my ($value, $kind, $out) = @_;
    if ($kind eq 'JSON::PP::Boolean' || $kind =~ /^(?:JSON::XS|Types::Serialiser)::Boolean$/) {
        $$out .= $$value ? 'true' : 'false';
    }
    elsif ($kind eq 'SCALAR' && defined $$value && $$value =~ /\A[01]\z/) {
        $$out .= $$value ? 'true' : 'false';
    }
    elsif (my $method = $kind !~ /^[A-Z]+\z/ && eval { $value->can('TO_JSON') }) {
        die "it is nested too deeply, or holds itself\n" if ++$depth > DEEPEST;
        write_value(scalar $value->$method, $out);
        $depth--;
    }
    elsif ($kind =~ /^Math::Big(?:Int|Float)\z/) {
        $$out .= "$value";
    }
    else {
        die "a $kind reference is no JSON\n";
    }
    return;
}

sub scalar_text {
    my ($value) = @_;
    return 'null' if !defined $value;
    return $value ? 'true' : 'false' if $is_bool->($value);
    return quoted($value) if !$is_number->($value);
    my $text = "$value";
    die "$text is no JSON number\n" if $text !~ /\A-?[0-9]/;
    return $text;
}

sub quoted {
    my ($text) = @_;
    if ($text =~ /["\\\x00-\x1f\x7f\x{d800}-\x{dfff}]/) {
        $text =~ s/(["\\\x08\x09\x0a\x0c\x0d])/$ESCAPE{$1}/g;
        $text =~ s/([\x00-\x1f\x7f\x{d800}-\x{dfff}])/sprintf '\u%04x', ord $1/ge;
    }
    return '"' . $text . '"';
}

1;
