package mayfly.runtime;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads JSON: objects as LinkedHashMap, arrays as ArrayList, text as String, numbers as Integer, Long,
 * BigInteger or Double.
 */
final class Json {
  static final int DEEPEST = 512;

  static final class Bad extends Exception {
    Bad(String message) {
      super(message);
    }
  }

  private final String text;
  private int at;
  private int depth;

  private Json(String text) {
    this.text = text;
  }

  static Object parse(byte[] bytes) throws Bad {
    String text;
    try {
      text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException error) {
      throw new Bad("it is not UTF-8");
    }
    Json json = new Json(text);
    Object value = json.value();
    json.space();
    if (json.at < text.length()) throw json.bad("unexpected text after the value");
    return value;
  }

  private Bad bad(String what) {
    return new Bad(what + ", at character " + at);
  }

  private char next() throws Bad {
    if (at >= text.length()) throw bad("unexpected end");
    return text.charAt(at);
  }

  private void space() {
    while (at < text.length() && " \t\n\r".indexOf(text.charAt(at)) >= 0) at++;
  }

  private Object value() throws Bad {
    space();
    switch (next()) {
      case '{':
        return object();
      case '[':
        return array();
      case '"':
        return string();
      case 't':
        return word("true", Boolean.TRUE);
      case 'f':
        return word("false", Boolean.FALSE);
      case 'n':
        return word("null", null);
      default:
        return number();
    }
  }

  private Object word(String word, Object value) throws Bad {
    if (!text.startsWith(word, at)) throw bad("unexpected character");
    at += word.length();
    return value;
  }

  private Map<String, Object> object() throws Bad {
    if (++depth > DEEPEST) throw bad("nested too deeply");
    Map<String, Object> values = new LinkedHashMap<>();
    at++;
    space();
    if (next() == '}') at++;
    else
      while (true) {
        space();
        if (next() != '"') throw bad("expected a name");
        String name = string();
        space();
        if (next() != ':') throw bad("expected :");
        at++;
        values.put(name, value());
        if (!more('}')) break;
      }
    depth--;
    return values;
  }

  private List<Object> array() throws Bad {
    if (++depth > DEEPEST) throw bad("nested too deeply");
    List<Object> values = new ArrayList<>();
    at++;
    space();
    if (next() == ']') at++;
    else
      do values.add(value());
      while (more(']'));
    depth--;
    return values;
  }

  private boolean more(char end) throws Bad {
    space();
    char next = next();
    if (next != ',' && next != end) throw bad("expected , or " + end);
    at++;
    return next == ',';
  }

  private String string() throws Bad {
    int start = ++at;
    StringBuilder out = null;
    while (true) {
      char c = next();
      if (c == '"') break;
      if (c < 0x20) throw bad("a control character in a text");
      if (c != '\\') {
        at++;
        continue;
      }
      if (out == null) out = new StringBuilder();
      out.append(text, start, at);
      at++;
      out.append(escape());
      start = at;
    }
    String rest = text.substring(start, at++);
    return out == null ? rest : out.append(rest).toString();
  }

  private char escape() throws Bad {
    char c = next();
    at++;
    int simple = "\"\\/bfnrt".indexOf(c);
    if (simple >= 0) return "\"\\/\b\f\n\r\t".charAt(simple);
    if (c != 'u' || at + 4 > text.length()) throw bad("bad escape");
    int code = 0;
    for (int i = 0; i < 4; i++) {
      int digit = Character.digit(text.charAt(at++), 16);
      if (digit < 0) throw bad("bad escape");
      code = code * 16 + digit;
    }
    return (char) code;
  }

  private Object number() throws Bad {
    int start = at;
    if (next() == '-') at++;
    int first = at;
    digits();
    if (text.charAt(first) == '0' && at - first > 1) throw bad("a number with a leading zero");
    boolean whole = true;
    if (at < text.length() && text.charAt(at) == '.') {
      whole = false;
      at++;
      digits();
    }
    if (at < text.length() && (text.charAt(at) | 0x20) == 'e') {
      whole = false;
      at++;
      if (at < text.length() && (text.charAt(at) == '+' || text.charAt(at) == '-')) at++;
      digits();
    }
    String digits = text.substring(start, at);
    if (!whole) return Double.valueOf(digits);
    if (digits.length() > 18) {
      BigInteger value = new BigDecimal(digits).toBigInteger();
      return value.bitLength() < 64 ? (Object) value.longValue() : value;
    }
    long value = Long.parseLong(digits);
    return value == (int) value ? (Object) (int) value : (Object) value;
  }

  private void digits() throws Bad {
    int start = at;
    while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') at++;
    if (at == start) throw bad(at < text.length() ? "unexpected character" : "unexpected end");
  }
}
